//! Tests of the reader: files that PyTorch wrote, files that mean harm, and files bent at random.

mod forge;
mod hostile;
mod mutation;
mod reference;
mod zip;
