//! The gallery's part of the index: searching, marks, collections, and the file that keeps the last two.
//!
//! Recipes are in the pictures, and the index can be made again from them. Stars, ratings and collections are the user's
//! own; they are in the index and, so that they outlive it, in one file in the pictures folder ([`keeping`]). The
//! pictures themselves are never written to.

mod collected;
pub mod collections;
mod dates;
mod facts;
pub mod find;
pub mod keeping;
pub mod marks;
mod messages;
mod sql;
mod text;

#[cfg(test)]
mod tests;

pub use collected::{collection_of_name, pictures_of_collection};
pub(super) use facts::{Subject, bring_up_to_date, write_facts};
pub use find::Found;
pub use keeping::KEPT_FILE;
pub use marks::Counts;
pub use messages::{CollectionChange, GalleryCommand, GalleryEvent, Ticket};
