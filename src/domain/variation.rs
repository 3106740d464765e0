//! [`Variation`]: a walk from a seed's noise towards another one's.

use serde::{Deserialize, Serialize};

/// A walk from the noise of a request's seed towards that of another seed: a picture near the first one.
///
/// As stable-diffusion-webui's "variation seed" and "variation strength" (`modules/rng.py` at version 1.10): the starting
/// noise is interpolated on the sphere, and what is drawn later comes from the request's own seed alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// The seed that is walked towards.
    pub seed: u64,
    /// How far: 0 stays at the request's own noise, 1 arrives at the other.
    pub strength: f64,
}

impl Variation {
    /// How far it goes where nothing is said: a near relative of the first picture.
    pub const STRENGTH: f64 = 0.15;

    /// Whether it goes anywhere. (A strength that is no number does: it must be complained of, not passed over.)
    #[must_use]
    pub fn is_on(self) -> bool {
        self.strength != 0.0
    }

    /// What is wrong with it.
    pub(super) fn problem(self) -> Option<String> {
        let is_right = (0.0..=1.0).contains(&self.strength);
        (!is_right).then(|| format!("The variation strength must be from 0 to 1, not {}", self.strength))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GenerateRequest;

    /// stable-diffusion-webui's `modules/processing.py`: with a variation the main seed stays and the other one counts.
    #[test]
    fn a_count_goes_through_variations_where_there_is_one_and_else_through_seeds() {
        let varied = |strength| GenerateRequest {
            seed: 5,
            count: 3,
            variation: Some(Variation { seed: u64::MAX, strength }),
            ..GenerateRequest::default()
        };
        let third = varied(0.2).single(2);
        assert_eq!((third.seed, third.count), (5, 1));
        assert_eq!(third.variation, Some(Variation { seed: 1, strength: 0.2 }), "the last seed is followed by 0");
        let third = varied(0.0).single(2);
        assert_eq!((third.seed, third.variation), (7, None), "a strength of 0 is none");
        assert!(varied(f64::NAN).single(2).variation.is_some(), "what is wrong must stay to be told");
    }

    #[test]
    fn a_request_without_one_is_written_as_before_and_one_with_it_is_read_back() {
        let plain = serde_json::to_string(&GenerateRequest::default()).unwrap();
        assert!(!plain.contains("variation"), "{plain}");
        let request = GenerateRequest {
            variation: Some(Variation { seed: 1 << 40, strength: 0.1 + 0.2 }),
            ..GenerateRequest::default()
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<GenerateRequest>(&text).unwrap(), request);
    }
}
