//! [`GalleryAction`]: every act of the user in the gallery that is about more than one picture, and what it changes.

use std::path::PathBuf;

use crate::domain::{BulkWork, Cancel, CollectionId, Marks, PictureId, RecipeInCopy, SortOrder};
use crate::library::{CollectionChange, GalleryCommand, LibraryCommand, Ticket};

use super::gallery::{InView, Spot};
use super::gallery_search::{Named, Naming};
use super::{DialogRequest, Effect, FilmItem, Info, Key, Move, Place, Shortcut, State};

/// An act of the user in the gallery.
#[derive(Clone, Debug, PartialEq)]
pub enum GalleryAction {
    /// What of the grid is drawn now.
    InView(InView),
    /// Which pictures of the filmstrip are in view and lack their thumbnails.
    FilmInView(Vec<PictureId>),
    /// Go to the search field.
    Find,
    /// The search that is being typed.
    EditSearch(String),
    /// Look for nothing in particular again.
    ClearSearch,
    /// Only starred pictures, or others too.
    ToggleStarred,
    /// List in another order.
    Sort(SortOrder),
    /// Show all pictures.
    ShowAll,
    /// Show the starred ones.
    ShowStarred,
    /// Show those of a collection.
    ShowCollection(CollectionId),
    /// Star a picture, or take its star back.
    Star(PictureId),
    /// Star what is chosen, or take the stars back.
    StarChosen,
    /// Rate what is chosen, from 0 (not rated) to 5.
    Rate(u8),
    /// Show pictures that differ in nothing but the seed as one, or each.
    ToggleGrouped,
    /// Show those that differ from this one in nothing but the seed.
    ShowLike(PictureId),
    /// Show all again.
    LeaveLike,
    /// Move pictures of the collection that is shown before another one, or to its end.
    Arrange(Vec<PictureId>, Option<PictureId>),
    /// Move what is chosen one place to the left or right in its collection.
    Shift(Move),
    /// Choose a picture besides the others, or leave it out.
    Choose(PictureId),
    /// Choose all between the last one and this one.
    ChooseTo(PictureId),
    /// Choose the selected picture, or leave it out.
    ChooseSelected,
    /// Choose all that was found.
    ChooseAll,
    /// Choose none.
    ChooseNone,
    /// Copy the chosen pictures into a folder.
    CopyOut,
    /// Write the chosen pictures into one file.
    Zip,
    /// Whether copies carry their recipes.
    ToggleRecipes,
    /// Stop work on many pictures.
    StopWork(Ticket),
    /// Take back out of the trash what was moved there last.
    UndoTrash,
    /// Put the chosen pictures into a collection.
    AddTo(CollectionId),
    /// Take the chosen pictures out of the collection that is shown.
    TakeOut,
    /// Begin to type the name of a collection.
    Name(Named),
    /// The name that is being typed.
    EditName(String),
    /// Take the name that was typed.
    AcceptName,
    /// Close the field for a name.
    DropName,
    /// Ask whether a collection is to be deleted.
    AskDelete(CollectionId),
    /// Delete it.
    Delete(CollectionId),
    /// Do not delete it.
    KeepCollection,
}

impl GalleryAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip, shortcut) = match self {
            Self::InView(_) | Self::FilmInView(_) => ("", "", None),
            Self::Find => ("Find", "Look for pictures by words of their prompts", Some(Shortcut::ctrl(Key::F))),
            Self::EditSearch(_) => (
                "Search",
                "Words, \"phrases\" and -words to leave out, of the prompt and the rest of the recipe. Fields as in \
                 model:turbo, size:>768, seed:42, date:2026-11, rating:>=3, lora:denim; OR joins two",
                None,
            ),
            Self::ClearSearch => ("Clear the search", "Show what was there before", None),
            Self::ToggleStarred => ("Starred only", "Show only pictures that have a star", None),
            Self::Sort(_) => ("Order", "In which order the pictures stand", None),
            Self::ShowAll => ("All pictures", "Every picture of the folder", None),
            Self::ShowStarred => ("Starred", "Every picture that has a star", None),
            Self::ShowCollection(_) => ("Show", "Show the pictures of this collection", None),
            Self::Star(_) => ("Star", "Mark this picture with a star, or take it back", None),
            Self::StarChosen => {
                ("Star", "Mark with a star, or take the stars back where all have one", Some(Shortcut::plain(Key::S)))
            }
            Self::Rate(rating) => {
                let key = [Key::Num0, Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
                let text = ["Not rated", "Rate 1", "Rate 2", "Rate 3", "Rate 4", "Rate 5"];
                let place = usize::from((*rating).min(5));
                let tooltip = if place == 0 { "Take the rating back" } else { "Rate with 1 (least) to 5 (best)" };
                (text[place], tooltip, Some(Shortcut::plain(key[place])))
            }
            Self::ToggleGrouped => ("Group", "Show pictures whose recipes differ in nothing but the seed as one", None),
            Self::ShowLike(_) => ("Show the others", "Show every picture of this recipe, whatever its seed", None),
            Self::LeaveLike => ("Back to all recipes", "Show what was there before", None),
            Self::Arrange(..) => ("Arrange", "Draw a picture to its place in the collection", None),
            Self::Shift(Move::Previous | Move::Up) => {
                ("Move left", "One place to the left in its collection", Some(Shortcut::shift(Key::Left)))
            }
            Self::Shift(Move::Next | Move::Down) => {
                ("Move right", "One place to the right in its collection", Some(Shortcut::shift(Key::Right)))
            }
            Self::Choose(_) => ("Choose", "Choose this picture, to do something with several at once", None),
            Self::ChooseTo(_) => ("Choose up to here", "Choose all between the last one and this one", None),
            Self::ChooseSelected => (
                "Choose",
                "Choose the selected picture, to do something with several at once",
                Some(Shortcut::plain(Key::X)),
            ),
            Self::ChooseAll => ("Choose all", "Choose all that was found", Some(Shortcut::ctrl(Key::A))),
            Self::ChooseNone => ("Choose none", "Nothing is done to the pictures", Some(Shortcut::plain(Key::Escape))),
            Self::CopyOut => ("Copy to…", "Write copies into a folder", None),
            Self::Zip => ("Zip…", "Write copies into one zip file", None),
            Self::ToggleRecipes => {
                ("With recipes", "Copies say how they were made. Without, they are nothing but pixels", None)
            }
            Self::StopWork(_) => ("Stop", "Leave the rest as it is; what is done stays done", None),
            Self::UndoTrash => (
                "Undo",
                "Take back out of the trash what was moved there last, with its stars and collections",
                Some(Shortcut::ctrl(Key::Z)),
            ),
            Self::AddTo(_) => ("Add", "Put the chosen pictures into this collection", None),
            Self::TakeOut => {
                ("Take out", "Take the chosen pictures out of this collection; they are not deleted", None)
            }
            Self::Name(Named::Empty) => ("New collection…", "Keep pictures together under a name", None),
            Self::Name(Named::OfChosen) => ("New collection…", "Keep the chosen pictures together under a name", None),
            Self::Name(Named::OfSearch) => {
                ("Save search…", "Keep this search as a collection that always holds what it finds", None)
            }
            Self::Name(Named::Again(_)) => ("Rename…", "Give this collection another name", None),
            Self::Name(Named::Search(_)) => ("Edit search…", "Change the search that this collection stands for", None),
            Self::EditName(_) => ("Name", "The collection's name. Enter takes it, Esc does not", None),
            Self::AcceptName => ("Keep", "Take this name", None),
            Self::DropName => ("Never mind", "Close without a name", None),
            Self::AskDelete(_) => ("Delete…", "Delete this collection; its pictures stay", None),
            Self::Delete(_) => ("Delete", "Delete this collection; its pictures stay", None),
            Self::KeepCollection => ("Keep it", "Do not delete it", None),
        };
        Info { text, tooltip, shortcut }
    }
}

/// Work on many pictures that the library does.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its key.
    pub ticket: Ticket,
    /// What is done, for a line beside its progress.
    pub title: &'static str,
    /// Where the copies go.
    pub target: Option<PathBuf>,
    /// How far it has come.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// Stops it.
    pub cancel: Cancel,
}

/// A command about the gallery, as an effect.
pub(super) fn ask(command: GalleryCommand) -> Effect {
    Effect::Library(LibraryCommand::Gallery(command))
}

impl State {
    /// Carries out an act in the gallery.
    pub(super) fn apply_gallery(&mut self, action: GalleryAction) -> Vec<Effect> {
        let gallery = &mut self.gallery;
        match action {
            GalleryAction::InView(view) => return gallery.look_at(view).into_iter().map(ask).collect(),
            GalleryAction::FilmInView(ids) => {
                let entry = |item: &FilmItem| item.saved.as_ref().ok().map(|entry| (entry.id, entry.path.clone()));
                let wanted = self.film.items().filter_map(entry).filter(|(id, _)| ids.contains(id)).collect();
                return gallery.want_thumbnails(wanted).map(ask).into_iter().collect();
            }
            GalleryAction::Find => {
                self.place = Place::Gallery;
                gallery.large = false;
                gallery.finder.focus += 1;
                return self.leave_viewer();
            }
            GalleryAction::EditSearch(text) => {
                gallery.finder.set_text(text);
                return vec![self.search()];
            }
            GalleryAction::ClearSearch => {
                gallery.finder.set_text(String::new());
                gallery.finder.starred = false;
                return vec![self.search()];
            }
            GalleryAction::ToggleStarred => {
                gallery.finder.starred = !gallery.finder.starred;
                return vec![self.search()];
            }
            GalleryAction::Sort(sort) => {
                gallery.finder.sort = sort;
                return vec![self.search()];
            }
            GalleryAction::ShowAll => return self.show_shelf(None, false),
            GalleryAction::ShowStarred => return self.show_shelf(None, true),
            GalleryAction::ShowCollection(id) => return self.show_shelf(Some(id), false),
            GalleryAction::Star(id) => {
                let star = !gallery.is_starred(id);
                return vec![ask(GalleryCommand::Star { ids: vec![id], star })];
            }
            GalleryAction::StarChosen => {
                let (ids, star) = (gallery.subjects(), !gallery.subjects_are_starred());
                return if ids.is_empty() { Vec::new() } else { vec![ask(GalleryCommand::Star { ids, star })] };
            }
            GalleryAction::Rate(rating) => {
                let (ids, rating) = (gallery.subjects(), rating.min(Marks::MAX_RATING));
                return if ids.is_empty() { Vec::new() } else { vec![ask(GalleryCommand::Rate { ids, rating })] };
            }
            GalleryAction::ToggleGrouped => {
                gallery.finder.is_grouped = !gallery.finder.is_grouped;
                return vec![self.search()];
            }
            GalleryAction::ShowLike(id) => {
                gallery.large = false;
                gallery.choose_none();
                gallery.finder.like = Some(id);
                return vec![self.search()];
            }
            GalleryAction::LeaveLike => {
                gallery.finder.like = None;
                return vec![self.search()];
            }
            GalleryAction::Arrange(ids, before) => return self.arrange(ids, before),
            GalleryAction::Shift(direction) => {
                let ids = gallery.subjects();
                return match gallery.shifted(&ids, direction) {
                    Some(Spot::Before(picture)) => self.arrange(ids, Some(picture)),
                    Some(Spot::End) => self.arrange(ids, None),
                    None => Vec::new(),
                };
            }
            GalleryAction::Choose(id) => gallery.toggle_chosen(id),
            GalleryAction::ChooseTo(id) => gallery.choose_to(id),
            GalleryAction::ChooseSelected => {
                if let Some(id) = gallery.selected {
                    gallery.toggle_chosen(id);
                }
            }
            GalleryAction::ChooseAll => gallery.choose_all(),
            GalleryAction::ChooseNone => {
                gallery.choose_none();
                self.viewer.picking = None;
            }
            GalleryAction::CopyOut => {
                let ids = gallery.subjects();
                return if ids.is_empty() { Vec::new() } else { self.ask(DialogRequest::CopyOut(ids)) };
            }
            GalleryAction::Zip => {
                let ids = gallery.subjects();
                return if ids.is_empty() { Vec::new() } else { self.ask(DialogRequest::Zip(ids)) };
            }
            GalleryAction::ToggleRecipes => {
                gallery.recipe_in_copies = match gallery.recipe_in_copies {
                    RecipeInCopy::Kept => RecipeInCopy::LeftOut,
                    RecipeInCopy::LeftOut => RecipeInCopy::Kept,
                };
            }
            GalleryAction::StopWork(ticket) => {
                gallery.works.iter().filter(|work| work.ticket == ticket).for_each(|work| work.cancel.cancel());
            }
            GalleryAction::UndoTrash => {
                let trashed = std::mem::take(&mut gallery.trashed);
                return if trashed.is_empty() { Vec::new() } else { vec![ask(GalleryCommand::Restore(trashed))] };
            }
            GalleryAction::AddTo(id) => return vec![change(CollectionChange::Add(id, gallery.subjects()))],
            GalleryAction::TakeOut => {
                let Some(id) = gallery.finder.collection else { return Vec::new() };
                let ids = gallery.subjects();
                return vec![change(CollectionChange::Remove(id, ids)), self.search()];
            }
            GalleryAction::Name(what) => self.name(what),
            GalleryAction::EditName(text) => {
                if let Some(naming) = &mut gallery.shelves.naming {
                    (naming.text, naming.problem) = (text, None);
                }
            }
            GalleryAction::AcceptName => return self.accept_name(),
            GalleryAction::DropName => gallery.shelves.naming = None,
            GalleryAction::AskDelete(id) => gallery.shelves.deleting = Some(id),
            GalleryAction::Delete(id) => return vec![change(CollectionChange::Delete(id))],
            GalleryAction::KeepCollection => gallery.shelves.deleting = None,
        }
        Vec::new()
    }

    /// Looks for what is wanted now. Of several searches that wait the library makes the last.
    pub(super) fn search(&mut self) -> Effect {
        let finder = &mut self.gallery.finder;
        let ticket = finder.next_search();
        ask(GalleryCommand::Search { ticket, request: finder.request() })
    }

    /// What is shown may have changed: looks for it again, and counts.
    pub(super) fn refresh_gallery(&mut self) -> Vec<Effect> {
        vec![self.search(), ask(GalleryCommand::Overview)]
    }

    fn show_shelf(&mut self, collection: Option<CollectionId>, starred: bool) -> Vec<Effect> {
        let gallery = &mut self.gallery;
        (gallery.finder.collection, gallery.finder.starred) = (collection, starred);
        gallery.finder.like = None;
        gallery.choose_none();
        // Without a collection nothing is arranged.
        if collection.is_none() && gallery.finder.sort == SortOrder::Arranged {
            gallery.finder.sort = SortOrder::Newest;
        }
        vec![self.search()]
    }

    fn name(&mut self, what: Named) {
        let shelves = &mut self.gallery.shelves;
        let text = match what {
            Named::Again(id) => shelves.collection(id).map(|collection| collection.name.clone()),
            Named::Search(id) => shelves.collection(id).and_then(|collection| collection.query.clone()),
            Named::OfSearch => Some(self.gallery.finder.text.trim().to_owned()),
            Named::Empty | Named::OfChosen => None,
        };
        shelves.naming = Some(Naming { what, text: text.unwrap_or_default(), problem: None, is_sent: false });
    }

    fn accept_name(&mut self) -> Vec<Effect> {
        let pictures = self.gallery.subjects();
        let query = self.gallery.finder.as_query(&self.gallery.shelves);
        let Some(naming) = &mut self.gallery.shelves.naming else { return Vec::new() };
        let name = naming.text.trim().to_owned();
        if name.is_empty() {
            self.gallery.shelves.naming = None;
            return Vec::new();
        }
        // The field stays until the library has taken the name: another collection may have it.
        naming.is_sent = true;
        let is_search = matches!(naming.what, Named::Search(_));
        let changed = change(match naming.what {
            Named::Empty => CollectionChange::Create { name, query: None, pictures: Vec::new() },
            Named::OfChosen => CollectionChange::Create { name, query: None, pictures },
            Named::OfSearch => CollectionChange::Create { name, query: Some(query), pictures: Vec::new() },
            Named::Again(id) => CollectionChange::Rename(id, name),
            Named::Search(id) => CollectionChange::SetQuery(id, name),
        });
        // What another search finds is shown at once.
        if is_search { vec![changed, self.search()] } else { vec![changed] }
    }

    /// Moves pictures within the collection that is shown.
    fn arrange(&mut self, ids: Vec<PictureId>, before: Option<PictureId>) -> Vec<Effect> {
        let Some(collection) = self.gallery.arranged() else {
            let sentence = "Pictures can be moved in a collection of your own, in the order As arranged";
            self.notices.info(sentence, None);
            return Vec::new();
        };
        // Dropped on itself, it stays.
        if ids.is_empty() || before.is_some_and(|before| ids.contains(&before)) {
            return Vec::new();
        }
        vec![change(CollectionChange::Arrange(collection, ids, before)), self.search()]
    }

    /// Lets the library work on many pictures.
    pub(super) fn work_on(&mut self, ids: Vec<PictureId>, work: BulkWork) -> Vec<Effect> {
        let (title, target) = match &work {
            BulkWork::CopyTo { folder, .. } => ("Copying", Some(folder.clone())),
            BulkWork::Zip { file, .. } => ("Writing the zip file", Some(file.clone())),
            BulkWork::Trash => ("Moving to the trash", None),
        };
        let gallery = &mut self.gallery;
        let (ticket, cancel) = (gallery.finder.next_ticket(), Cancel::default());
        let total = ids.len();
        gallery.works.push(Work { ticket, title, target, done: 0, total, cancel: cancel.clone() });
        vec![ask(GalleryCommand::Bulk { ticket, ids, work, cancel })]
    }
}

fn change(change: CollectionChange) -> Effect {
    ask(GalleryCommand::Collections(change))
}
