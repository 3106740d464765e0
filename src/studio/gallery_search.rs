//! What of the gallery is looked at: the search, in which pictures and in which order; and the collections.

use crate::domain::search::{Hint, Key, Query, Term, Test, parse};
use crate::domain::{Collection, CollectionId, PictureId, Scope, SearchRequest, SortOrder};
use crate::library::{Counts, Ticket};

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    /// As typed.
    pub text: String,
    /// What of it is not understood, or not yet.
    pub hints: Vec<Hint>,
    /// Only starred pictures.
    pub starred: bool,
    /// Only those of a collection.
    pub collection: Option<CollectionId>,
    /// In which order.
    pub sort: SortOrder,
    /// Whether pictures whose recipes differ in nothing but the seed are shown as one.
    pub is_grouped: bool,
    /// Only those whose recipes differ from this one's in nothing but the seed.
    pub like: Option<PictureId>,
    /// Counts up when the field is to take the keyboard.
    pub focus: u64,
    last_ticket: u64,
    last_search: Ticket,
}

impl Finder {
    /// Whether something is looked for in the pictures that are looked through.
    #[must_use]
    pub fn is_searching(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Whether all pictures are looked at.
    #[must_use]
    pub fn is_all(&self) -> bool {
        !self.is_searching() && !self.starred && self.collection.is_none() && self.like.is_none()
    }

    pub(super) fn set_text(&mut self, text: String) {
        self.hints = parse(&text).hints;
        self.text = text;
    }

    /// A key for the next search, or the next work on many pictures.
    pub(super) fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Remembers which search is the last.
    pub(super) fn next_search(&mut self) -> Ticket {
        self.last_search = self.next_ticket();
        self.last_search
    }

    /// Whether nothing was searched for since.
    pub(super) fn is_last_search(&self, ticket: Ticket) -> bool {
        self.last_search == ticket
    }

    /// The search as the library takes it.
    pub(super) fn request(&self) -> SearchRequest {
        // Only where a star is asked for is it more than what was typed: what is typed is sent as it is.
        let text = if self.starred { self.narrowed(parse(&self.text).query) } else { self.text.clone() };
        let scope = match (self.like, self.collection) {
            (Some(picture), _) => Scope::SameRecipe(picture),
            (None, Some(collection)) => Scope::Collection(collection),
            (None, None) => Scope::All,
        };
        // Within a group nothing is grouped.
        let is_grouped = self.is_grouped && self.like.is_none();
        SearchRequest { text, scope, sort: self.sort, is_grouped }
    }

    /// What is looked at, as one search: what a smart collection remembers.
    pub(super) fn as_query(&self, shelves: &Shelves) -> String {
        let mut query = Query::default();
        if let Some(collection) = self.collection.and_then(|id| shelves.collection(id)) {
            match &collection.query {
                Some(text) => query = parse(text).query,
                None => query.all.push(vec![only(Test::Text(Key::Collection, collection.name.clone()))]),
            }
        }
        query.all.extend(parse(&self.text).query.all);
        self.narrowed(query)
    }

    fn narrowed(&self, mut query: Query) -> String {
        if self.starred {
            query.all.push(vec![only(Test::YesNo(Key::Star, true))]);
        }
        query.to_string()
    }
}

fn only(test: Test) -> Term {
    Term { is_negated: false, test }
}

/// A name that is being typed, in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// For what.
    pub what: Named,
    /// What was typed.
    pub text: String,
    /// Why the library did not take it.
    pub problem: Option<String>,
    /// Whether the library was asked to take it.
    pub(super) is_sent: bool,
}

/// What a name is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A new collection without pictures.
    Empty,
    /// A new collection of the chosen pictures.
    OfChosen,
    /// A new collection that stands for the present search.
    OfSearch,
    /// A collection that has another name.
    Again(CollectionId),
    /// Not a name, but another search for a collection that stands for one.
    Search(CollectionId),
}

/// The collections, by name, and how many pictures there are.
#[derive(Clone, Debug, Default)]
pub struct Shelves {
    /// How many pictures.
    pub counts: Counts,
    /// By name.
    pub collections: Vec<Collection>,
    /// A name that is being typed.
    pub naming: Option<Naming>,
    /// Which collection the user is asked about, whether it is to be deleted.
    pub deleting: Option<CollectionId>,
}

impl Shelves {
    /// A collection by its key.
    #[must_use]
    pub fn collection(&self, id: CollectionId) -> Option<&Collection> {
        self.collections.iter().find(|collection| collection.id == id)
    }

    /// The collections that pictures can be put into.
    pub fn own(&self) -> impl Iterator<Item = &Collection> {
        self.collections.iter().filter(|collection| collection.query.is_none())
    }

    /// Takes the collections over. Gives the key that the one with `shown` has now: its name stays, its key may not.
    pub(super) fn set(
        &mut self,
        counts: Counts,
        collections: Vec<Collection>,
        shown: Option<CollectionId>,
    ) -> Option<CollectionId> {
        let before = shown.and_then(|id| self.collection(id)).map(|collection| collection.name.clone());
        let by_name = |name: &String| collections.iter().find(|collection| collection.name == *name);
        // One that was just given another name has its key still.
        let now = before.as_ref().and_then(by_name).map(|collection| collection.id);
        let same = shown.filter(|id| collections.iter().any(|collection| collection.id == *id));
        self.counts = counts;
        self.deleting.take_if(|id| collections.iter().all(|collection| collection.id != *id));
        self.naming.take_if(|naming| naming.is_sent);
        self.collections = collections;
        now.or(same)
    }
}
