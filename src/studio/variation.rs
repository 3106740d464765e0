//! [`VariationAction`]: walks from a seed towards others, in the draft and around a finished picture.

use crate::domain::{GenerateRequest, Variation};

use super::{Effect, Info, State};

/// Most variations that are made by one click.
const MAX_COUNT: u32 = 64;

/// An act of the user about variations. Values out of bounds are brought into them.
#[derive(Clone, Debug, PartialEq)]
pub enum VariationAction {
    /// How far the draft's seed walks; 0 is not at all.
    Strength(f64),
    /// Where to.
    Seed(u64),
    /// Draw another seed to walk to.
    RollSeed,
    /// Ask how the picture in view is to be varied.
    Open,
    /// How many variations of it.
    Count(u32),
    /// How far they go.
    Reach(f64),
    /// Make them.
    Make,
    /// Close without any.
    Close,
}

impl VariationAction {
    /// Text and tooltip.
    pub(super) fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Strength(_) => (
                "Variation",
                "Walks from the seed's picture towards another seed's: 0 stays, 0.1 changes little, 1 arrives there",
            ),
            Self::Seed(_) => ("Towards", "The seed that is walked towards. Several pictures take one after the other"),
            Self::RollSeed => ("Another way", "Draw another seed to walk towards"),
            Self::Open => ("Make variations…", "Make pictures that are like this one, and differ a little"),
            Self::Count(_) => ("Pictures", "How many variations to make"),
            Self::Reach(_) => (
                "Difference",
                "How far they are from this picture: 0.1 changes details, 0.5 much, 1 all but the prompt",
            ),
            Self::Make => ("Make variations", "Add them to the queue, each with a seed of its own to walk towards"),
            Self::Close => ("Never mind", "Close without making any"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

/// How a finished picture is varied.
#[derive(Clone, Debug)]
pub struct Variations {
    /// What made the picture, while it is asked how to vary it.
    pub of: Option<Box<GenerateRequest>>,
    /// How many.
    pub count: u32,
    /// How far they go.
    pub strength: f64,
}

impl Default for Variations {
    fn default() -> Self {
        Self { of: None, count: 4, strength: Variation::STRENGTH }
    }
}

impl State {
    /// Carries out an act about variations.
    pub(super) fn apply_variation(&mut self, action: &VariationAction) -> Vec<Effect> {
        let share = |value: f64, least: f64| if value.is_finite() { value.clamp(least, 1.0) } else { least };
        match *action {
            VariationAction::Strength(strength) => {
                // A strength of 0 keeps the seed, so that one can go back and forth.
                let before = self.draft.request.variation.map(|variation| variation.seed);
                let seed = before.unwrap_or_else(|| self.seeds.draw());
                self.draft.request.variation = Some(Variation { seed, strength: share(strength, 0.0) });
                self.mark_dirty();
            }
            VariationAction::Seed(seed) => self.walk_towards(seed),
            VariationAction::RollSeed => {
                let seed = self.seeds.draw();
                self.walk_towards(seed);
            }
            VariationAction::Open => {
                let Some(recipe) = self.subject().and_then(|subject| subject.recipe) else { return Vec::new() };
                if recipe.grid.is_some() {
                    self.notices.info("This is a sheet of many pictures: choose one of them", None);
                } else {
                    self.variations.of = Some(Box::new(recipe.request.clone()));
                }
            }
            VariationAction::Count(count) => self.variations.count = count.clamp(1, MAX_COUNT),
            VariationAction::Reach(strength) => self.variations.strength = share(strength, 0.01),
            VariationAction::Make => {
                let Some(of) = self.variations.of.take() else { return Vec::new() };
                let Variations { of: _, count, strength } = self.variations;
                let variation = Some(Variation { seed: self.seeds.draw(), strength });
                return self.enqueue(GenerateRequest { count, variation, ..*of });
            }
            VariationAction::Close => self.variations.of = None,
        }
        Vec::new()
    }

    fn walk_towards(&mut self, seed: u64) {
        if let Some(variation) = &mut self.draft.request.variation {
            variation.seed = seed;
            self.mark_dirty();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finish, generate, job, kept, state};
    use super::*;
    use crate::domain::UserError;
    use crate::studio::Action;

    #[test]
    fn the_drafts_walk_stays_in_its_bounds_and_keeps_its_goal() {
        let mut state = state();
        let act = |state: &mut State, action| {
            state.apply(Action::Variation(action));
            state.draft.request.variation
        };
        assert_eq!(act(&mut state, VariationAction::Seed(7)), None, "there is no walk to be turned");
        let first = act(&mut state, VariationAction::Strength(0.3)).unwrap();
        assert_eq!(first.strength, 0.3);
        let stopped = act(&mut state, VariationAction::Strength(-4.0)).unwrap();
        assert_eq!(stopped, Variation { seed: first.seed, strength: 0.0 });
        assert_eq!(act(&mut state, VariationAction::Strength(f64::NAN)).unwrap().strength, 0.0);
        assert_eq!(act(&mut state, VariationAction::Strength(9.0)).unwrap().strength, 1.0);
        assert_eq!(act(&mut state, VariationAction::Seed(7)).unwrap().seed, 7);
        assert_ne!(act(&mut state, VariationAction::RollSeed).unwrap().seed, 7);
    }

    #[test]
    fn variations_of_a_picture_are_one_job_around_its_seed() {
        let mut state = state();
        let made = generate(&mut state).unwrap();
        finish(&mut state, &made, Err(UserError::failed("disk full")));
        for action in [VariationAction::Open, VariationAction::Count(900), VariationAction::Reach(0.25)] {
            state.apply(Action::Variation(action));
        }
        assert_eq!(state.variations.count, MAX_COUNT);
        state.apply(Action::Variation(VariationAction::Count(8)));
        let effects = state.apply(Action::Variation(VariationAction::Make));
        let sent = job(&kept(&mut state, effects)).unwrap().request;
        assert_eq!((sent.seed, sent.count, sent.variation.unwrap().strength), (made.request.seed, 8, 0.25));
        assert!(state.variations.of.is_none());
        assert!(state.apply(Action::Variation(VariationAction::Make)).is_empty(), "nothing is asked any more");
    }
}
