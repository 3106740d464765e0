//! Tables of batches: read with the same care as data sets, and their results written back beside them.

mod files;
mod read;
mod results;

pub use files::check_rows;
pub use read::read;
pub use results::{Results, read_results};

#[cfg(test)]
mod tests;
