//! [`KEYED`]: which keys do what, and where.

use std::fmt;

use super::{
    Action, CompareAction, DatasetAction, GalleryAction, HistoryAction, Move, Place, PromptAction, ShellAction,
    SourceAction, TimelineAction, Tool, TrainAction, ViewerAction, Weigh,
};

/// Keys that have a shortcut. Spelled here so that this floor needs no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "a key is its own name")]
pub enum Key {
    Enter,
    Escape,
    Delete,
    Tab,
    Left,
    Right,
    Up,
    Down,
    F1,
    F5,
    F11,
    Question,
    Num1,
    Num2,
    Num3,
    Num4,
    Num0,
    Num5,
    Num6,
    Minus,
    Plus,
    Space,
    OpenBracket,
    CloseBracket,
    A,
    B,
    C,
    E,
    F,
    H,
    I,
    M,
    P,
    Q,
    R,
    S,
    X,
    Y,
    Z,
}

impl Key {
    /// Whether it is a sign, which may need Shift or not, as the keyboard has it: Shift does not count then.
    #[must_use]
    pub fn is_sign(self) -> bool {
        matches!(self, Self::Plus | Self::Minus | Self::Question)
    }
}

#[cfg(test)]
impl Key {
    fn is_letter(self) -> bool {
        format!("{self:?}").len() == 1 || self.is_sign()
    }
}

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shortcut {
    /// Ctrl, or Command on a Mac.
    pub ctrl: bool,
    /// Shift.
    pub shift: bool,
    /// The key.
    pub key: Key,
}

impl Shortcut {
    pub(super) const fn plain(key: Key) -> Self {
        Self { ctrl: false, shift: false, key }
    }

    pub(super) const fn ctrl(key: Key) -> Self {
        Self { ctrl: true, shift: false, key }
    }

    pub(super) const fn shift(key: Key) -> Self {
        Self { ctrl: false, shift: true, key }
    }

    pub(super) const fn ctrl_shift(key: Key) -> Self {
        Self { ctrl: true, shift: true, key }
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str(if cfg!(target_os = "macos") { "Cmd+" } else { "Ctrl+" })?;
        }
        if self.shift {
            f.write_str("Shift+")?;
        }
        match self.key {
            Key::Escape => f.write_str("Esc"),
            Key::Question => f.write_str("?"),
            Key::Num1 => f.write_str("1"),
            Key::Num2 => f.write_str("2"),
            Key::Num3 => f.write_str("3"),
            Key::Num4 => f.write_str("4"),
            Key::Num0 => f.write_str("0"),
            Key::Num5 => f.write_str("5"),
            Key::Num6 => f.write_str("6"),
            Key::Minus => f.write_str("−"),
            Key::Plus => f.write_str("+"),
            Key::OpenBracket => f.write_str("["),
            Key::CloseBracket => f.write_str("]"),
            key => write!(f, "{key:?}"),
        }
    }
}

/// Where a shortcut holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere, also while text is being typed.
    Anywhere,
    /// Everywhere, unless a widget has the keyboard.
    Resting,
    /// Everywhere but in the gallery, also while text is being typed. Names that are offered come first.
    Elsewhere,
    /// On the picture to begin with in Create, unless text is being typed.
    Canvas,
    /// In Create, also while the draft is being typed; not where [`Scope::Canvas`] holds.
    Draft,
    /// In a field of the prompt.
    Prompt,
    /// While names are offered for what is typed in a field of the prompt.
    Names,
    /// The same, and one of them is chosen.
    ChosenName,
    /// In Create, where a finished picture with its steps is shown, unless a widget has the keyboard.
    Steps,
    /// In the gallery's large view.
    Picture,
    /// In the gallery's large view, unless a widget has the keyboard.
    Large,
    /// Where two pictures are compared.
    Compare,
    /// In Train, where a data set is shown, unless text is being typed.
    Dataset,
    /// In the gallery, grid and large view, unless a widget has the keyboard.
    Gallery,
    /// In the gallery's grid, unless a widget has the keyboard.
    Grid,
}

impl Scope {
    /// All of them, in the order in which the cheat sheet shows them.
    pub const ALL: [Self; 15] = [
        Self::Anywhere,
        Self::Resting,
        Self::Elsewhere,
        Self::Draft,
        Self::Prompt,
        Self::Names,
        Self::ChosenName,
        Self::Canvas,
        Self::Steps,
        Self::Gallery,
        Self::Grid,
        Self::Picture,
        Self::Large,
        Self::Compare,
        Self::Dataset,
    ];

    /// Its name for people; two that differ only in what has the keyboard share one.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::Resting => "Everywhere, unless you type",
            Self::Elsewhere => "Outside the gallery",
            Self::Canvas => "Mask",
            Self::Draft => "Draft",
            Self::Prompt => "Prompt",
            Self::Names | Self::ChosenName => "Names that are offered",
            Self::Steps => "Steps of a picture",
            Self::Picture | Self::Large => "Large picture",
            Self::Compare => "Comparing",
            Self::Dataset => "Data set",
            Self::Gallery => "Gallery",
            Self::Grid => "Gallery's grid",
        }
    }

    /// Whether two scopes can hold at the same time.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let is_grid = |scope| matches!(scope, Self::Grid);
        let is_large = |scope| matches!(scope, Self::Picture | Self::Large);
        let in_gallery = |scope| is_grid(scope) || is_large(scope) || matches!(scope, Self::Gallery | Self::Compare);
        let over_names = |scope| matches!(scope, Self::Names | Self::ChosenName);
        let in_text = |scope| over_names(scope) || matches!(scope, Self::Draft | Self::Prompt);
        match (self, other) {
            (Self::Anywhere | Self::Resting, _) | (_, Self::Anywhere | Self::Resting) => true,
            (one, other) if one == other => true,
            // It is a place of its own.
            (Self::Dataset, other) | (other, Self::Dataset) => other == Self::Elsewhere,
            (one, other) if in_gallery(one) != in_gallery(other) => false,
            (Self::Compare, _) | (_, Self::Compare) => false,
            (one, other) if is_grid(one) && is_large(other) || is_large(one) && is_grid(other) => false,
            (Self::Elsewhere, names) | (names, Self::Elsewhere) if over_names(names) => false,
            // Where a mask is painted, its own undo comes first, unless text is being typed.
            (Self::Canvas, text) | (text, Self::Canvas) if in_text(text) => false,
            // Steps are gone through where nothing has the keyboard, and only a finished picture has some.
            (Self::Steps, other) | (other, Self::Steps) if in_text(other) || other == Self::Canvas => false,
            _ => true,
        }
    }
}

/// Every action that has a shortcut, and where it holds.
pub static KEYED: &[(Scope, Action)] = &[
    // Before what the same keys do elsewhere.
    (Scope::Names, Action::Prompt(PromptAction::NextCompletion)),
    (Scope::Names, Action::Prompt(PromptAction::PreviousCompletion)),
    (Scope::Names, Action::Prompt(PromptAction::CompleteFirst)),
    (Scope::Names, Action::Prompt(PromptAction::DropCompletions)),
    (Scope::ChosenName, Action::Prompt(PromptAction::Complete)),
    (Scope::Prompt, Action::Prompt(PromptAction::Weigh(Weigh::More))),
    (Scope::Prompt, Action::Prompt(PromptAction::Weigh(Weigh::Less))),
    (Scope::Prompt, Action::Prompt(PromptAction::Weigh(Weigh::LittleMore))),
    (Scope::Prompt, Action::Prompt(PromptAction::Weigh(Weigh::LittleLess))),
    (Scope::Draft, Action::Prompt(PromptAction::Undo)),
    (Scope::Draft, Action::Prompt(PromptAction::Redo)),
    (Scope::Draft, Action::Prompt(PromptAction::RedoToo)),
    (Scope::Draft, Action::Prompt(PromptAction::History(HistoryAction::Open))),
    (Scope::Anywhere, Action::Generate),
    (Scope::Anywhere, Action::GoTo(Place::Create)),
    (Scope::Anywhere, Action::GoTo(Place::Gallery)),
    (Scope::Anywhere, Action::GoTo(Place::Batch)),
    (Scope::Anywhere, Action::GoTo(Place::Train)),
    (Scope::Anywhere, Action::GoTo(Place::Models)),
    (Scope::Anywhere, Action::GoTo(Place::Settings)),
    (Scope::Anywhere, Action::RollSeed),
    (Scope::Anywhere, Action::SaveAs),
    (Scope::Anywhere, Action::CopyPicture),
    (Scope::Anywhere, Action::ToggleFullScreen),
    (Scope::Anywhere, Action::Quit),
    (Scope::Anywhere, Action::Gallery(GalleryAction::Find)),
    (Scope::Anywhere, Action::Shell(ShellAction::OpenPalette)),
    (Scope::Anywhere, Action::Shell(ShellAction::ShowShortcuts)),
    (Scope::Anywhere, Action::Shell(ShellAction::Larger)),
    (Scope::Anywhere, Action::Shell(ShellAction::Smaller)),
    (Scope::Anywhere, Action::Shell(ShellAction::ResetScale)),
    (Scope::Elsewhere, Action::Cancel),
    (Scope::Elsewhere, Action::Source(SourceAction::Toggle)),
    (Scope::Canvas, Action::Source(SourceAction::Take(Tool::Brush))),
    (Scope::Canvas, Action::Source(SourceAction::Take(Tool::Eraser))),
    (Scope::Canvas, Action::Source(SourceAction::Larger)),
    (Scope::Canvas, Action::Source(SourceAction::Smaller)),
    (Scope::Canvas, Action::Source(SourceAction::Undo)),
    (Scope::Canvas, Action::Source(SourceAction::Redo)),
    (Scope::Canvas, Action::Source(SourceAction::Invert)),
    (Scope::Canvas, Action::Source(SourceAction::Clear)),
    (Scope::Canvas, Action::Source(SourceAction::ToggleMask)),
    (Scope::Steps, Action::Timeline(TimelineAction::Previous)),
    (Scope::Steps, Action::Timeline(TimelineAction::Next)),
    (Scope::Dataset, Action::Train(TrainAction::Dataset(DatasetAction::Undo))),
    (Scope::Dataset, Action::Train(TrainAction::Dataset(DatasetAction::Redo))),
    (Scope::Picture, Action::ClosePicture),
    (Scope::Gallery, Action::Trash),
    (Scope::Gallery, Action::Rescan),
    (Scope::Gallery, Action::BeginWithSelected),
    (Scope::Gallery, Action::Move(Move::Previous)),
    (Scope::Gallery, Action::Move(Move::Next)),
    (Scope::Gallery, Action::Move(Move::Up)),
    (Scope::Gallery, Action::Move(Move::Down)),
    (Scope::Gallery, Action::Gallery(GalleryAction::StarChosen)),
    (Scope::Gallery, Action::Gallery(GalleryAction::UndoTrash)),
    (Scope::Gallery, Action::Gallery(GalleryAction::Rate(0))),
    (Scope::Gallery, Action::Gallery(GalleryAction::Rate(1))),
    (Scope::Gallery, Action::Gallery(GalleryAction::Rate(2))),
    (Scope::Gallery, Action::Gallery(GalleryAction::Rate(3))),
    (Scope::Gallery, Action::Gallery(GalleryAction::Rate(4))),
    (Scope::Gallery, Action::Gallery(GalleryAction::Rate(5))),
    (Scope::Large, Action::Viewer(ViewerAction::ZoomIn)),
    (Scope::Large, Action::Viewer(ViewerAction::ZoomOut)),
    (Scope::Large, Action::Viewer(ViewerAction::ToggleFit)),
    (Scope::Large, Action::Viewer(ViewerAction::ToggleAlone)),
    (Scope::Large, Action::Viewer(ViewerAction::ToggleSlides)),
    (Scope::Compare, Action::Viewer(ViewerAction::ZoomIn)),
    (Scope::Compare, Action::Viewer(ViewerAction::ZoomOut)),
    (Scope::Compare, Action::Viewer(ViewerAction::ToggleFit)),
    (Scope::Compare, Action::Viewer(ViewerAction::ToggleAlone)),
    (Scope::Compare, Action::Viewer(ViewerAction::Compare(CompareAction::Flip))),
    (Scope::Compare, Action::Viewer(ViewerAction::Compare(CompareAction::Swap))),
    (Scope::Compare, Action::Viewer(ViewerAction::Compare(CompareAction::Leave))),
    (Scope::Grid, Action::Gallery(GalleryAction::Shift(Move::Previous))),
    (Scope::Grid, Action::Gallery(GalleryAction::Shift(Move::Next))),
    (Scope::Grid, Action::OpenSelected),
    (Scope::Grid, Action::Gallery(GalleryAction::ChooseSelected)),
    (Scope::Grid, Action::Gallery(GalleryAction::ChooseAll)),
    (Scope::Grid, Action::Gallery(GalleryAction::ChooseNone)),
];

/// Other keys for actions of [`KEYED`], and where they hold.
pub static ALSO: &[(Scope, Shortcut, Action)] =
    &[(Scope::Resting, Shortcut::plain(Key::Question), Action::Shell(ShellAction::ShowShortcuts))];

/// Every shortcut: where it holds, its keys, what it does.
pub fn shortcuts() -> impl Iterator<Item = (Scope, Shortcut, &'static Action)> {
    let first = KEYED.iter().filter_map(|(scope, action)| Some((*scope, action.info().shortcut?, action)));
    first.chain(ALSO.iter().map(|(scope, shortcut, action)| (*scope, *shortcut, action)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_shortcuts_clash() {
        assert!(KEYED.iter().all(|(_, action)| action.info().shortcut.is_some()), "every keyed action has a shortcut");
        let all: Vec<_> = shortcuts().collect();
        for (i, (scope, shortcut, action)) in all.iter().enumerate() {
            for (other_scope, other_shortcut, other) in &all[i + 1..] {
                let clash = other_shortcut == shortcut && scope.overlaps(*other_scope);
                assert!(!clash, "{action:?} and {other:?} both have {shortcut}");
            }
        }
    }

    #[test]
    fn every_place_has_a_shortcut() {
        for place in Place::ALL {
            assert!(KEYED.iter().any(|(_, action)| *action == Action::GoTo(place)), "{place:?}");
        }
    }

    #[test]
    fn plain_letters_are_no_shortcuts_where_text_is_typed() {
        for (scope, shortcut, action) in shortcuts() {
            let types = shortcut.key.is_letter() || matches!(shortcut.key, Key::Enter | Key::Delete);
            if types && !shortcut.ctrl {
                assert!(!matches!(scope, Scope::Anywhere | Scope::Elsewhere), "{action:?}");
            }
        }
    }
}
