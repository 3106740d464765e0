//! The tour of the first start: three steps on the model that is built in, each of which goes on by itself when the user
//! does what it is about.

use super::{Action, Place};

/// A step of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TourStep {
    /// Write what to draw.
    Write,
    /// Make the picture.
    Generate,
    /// Find it again.
    Gallery,
}

impl TourStep {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Write, Self::Generate, Self::Gallery];

    /// Which one it is, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// What it is about, in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Write => "Say what to draw",
            Self::Generate => "Watch it form",
            Self::Gallery => "Find it again",
        }
    }

    /// What to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Write => {
                "Write in plain words. The model that is built in draws clothes: try \"a green woollen scarf\". Larger \
                 models, which draw anything, come in under Models."
            }
            Self::Generate => {
                "Press Generate. The picture forms step by step in the middle, and you can stop it at any time."
            }
            Self::Gallery => {
                "Every picture is saved by itself, with all that made it. The gallery keeps them: search them, star \
                 them, and go on from any of them."
            }
        }
    }

    /// The step after it.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// Where the tour stands after an act of the user: doing what a step is about takes it on. `None` at the end.
    #[must_use]
    pub(super) fn after(self, action: &Action) -> Option<Self> {
        match (self, action) {
            (Self::Write | Self::Generate, Action::Generate) => Some(Self::Gallery),
            (Self::Gallery, Action::GoTo(Place::Gallery)) => None,
            (step, _) => Some(step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doing_what_a_step_is_about_takes_it_on() {
        let write = TourStep::Write;
        assert_eq!(write.after(&Action::RollSeed), Some(write));
        assert_eq!(write.after(&Action::Generate), Some(TourStep::Gallery), "whoever generates has written");
        assert_eq!(TourStep::Gallery.after(&Action::Generate), Some(TourStep::Gallery));
        assert_eq!(TourStep::Gallery.after(&Action::GoTo(Place::Gallery)), None);
        let walked: Vec<TourStep> = std::iter::successors(Some(write), |step| step.next()).collect();
        assert_eq!(walked, TourStep::ALL);
        assert!(walked.into_iter().map(TourStep::number).eq(1..=3));
    }
}
