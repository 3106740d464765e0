//! x
pub mod atomic;
pub mod image_io;
pub mod index;
#[cfg(test)]
mod index_tests;
pub mod messages;
pub mod metadata;
pub mod names;
pub mod paths;
pub mod png_file;
pub mod rescan;
pub mod save;
mod schema;
pub mod settings;
pub mod shelf;
