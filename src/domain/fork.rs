//! [`Fork`]: a picture that branches off another one in the middle of its making.

use serde::{Deserialize, Serialize};

use super::{Capabilities, GenerateRequest};

/// Where a picture branches off another one. With the request that it stands in it is the whole ancestry: the parent is
/// made up to the step, then the new request goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    /// What the other picture is made of, its wildcards drawn.
    pub parent: Box<GenerateRequest>,
    /// The last step of it that counts, from 1.
    pub step: u32,
}

impl Fork {
    /// Most pictures that one branches off, directly and by way of others.
    pub const MAX_DEPTH: usize = 16;

    /// How many pictures it branches off, directly and by way of others.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut depth = 1;
        let mut at = self;
        while let Some(fork) = &at.parent.fork {
            depth += 1;
            at = fork;
        }
        depth
    }

    /// Why a picture of `request` can have no fork of its own or be one; `None` where it can.
    #[must_use]
    pub fn obstacle(request: &GenerateRequest) -> Option<&'static str> {
        if request.init.is_some() || request.upscale.is_some() {
            Some("A picture that began with another picture cannot be branched off")
        } else if request.hires.is_some() {
            Some("A picture of two passes cannot be branched off")
        } else {
            None
        }
    }

    /// What keeps `child` from branching off here.
    pub(super) fn problem(&self, child: &GenerateRequest, family: &Capabilities) -> Option<String> {
        // First of all, since what follows looks at every parent.
        if self.depth() > Self::MAX_DEPTH {
            return Some(format!("A picture can branch off others at most {} times", Self::MAX_DEPTH));
        }
        let parent = &*self.parent;
        if let Some(reason) = Self::obstacle(parent).or(Self::obstacle(child)) {
            return Some(reason.to_owned());
        }
        if parent.model != child.model {
            return Some("A branch is made with the model of the picture that it leaves".to_owned());
        }
        if (parent.width_px, parent.height_px) != (child.width_px, child.height_px) {
            let (width, height) = (parent.width_px, parent.height_px);
            return Some(format!("A branch has the size of the picture that it leaves, {width} × {height} px"));
        }
        let last = parent.num_inference_steps.saturating_sub(1);
        if self.step == 0 || self.step > last {
            let step = self.step;
            return Some(match last {
                0 => "A picture of one step has no step to branch off at".to_owned(),
                _ => format!("The step to branch off at must be from 1 to {last}, not {step}"),
            });
        }
        let problem = parent.validate(family).into_iter().next();
        problem.map(|problem| format!("The picture that it branches off: {}", problem.sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FamilyId, Hires, ModelRef, SamplerId, ScheduleId};

    static FAMILY: Capabilities = Capabilities {
        family: FamilyId::Starter,
        label: "Starter",
        size_multiple_px: 8,
        min_side_px: 64,
        max_side_px: 192,
        native_side_px: 128,
        aspect_presets: &[("1:1", 128, 128)],
        default_steps: 20,
        default_guidance: 4.0,
        default_sampler: SamplerId::DpmPp2m,
        default_schedule: ScheduleId::Automatic,
        example_prompt: "",
        needs_mask: false,
    };

    fn branch(parent: &GenerateRequest, step: u32) -> GenerateRequest {
        let fork = Fork { parent: Box::new(parent.clone()), step };
        GenerateRequest { prompt: "a blue dress".to_owned(), fork: Some(fork), ..GenerateRequest::default() }
    }

    fn sentences(request: &GenerateRequest) -> Vec<String> {
        request.validate(&FAMILY).into_iter().map(|problem| problem.sentence).collect()
    }

    #[test]
    fn a_request_with_its_ancestry_goes_round_and_one_without_is_as_before() {
        let root = GenerateRequest { prompt: "a red dress".to_owned(), ..GenerateRequest::default() };
        let child = branch(&branch(&root, 3), 9);
        let text = serde_json::to_string(&child).unwrap();
        assert_eq!(serde_json::from_str::<GenerateRequest>(&text).unwrap(), child);
        assert_eq!(child.fork.as_ref().map(Fork::depth), Some(2));
        assert!(!serde_json::to_string(&root).unwrap().contains("fork"), "older programs read it as ever");
        assert_eq!(child.single(3).fork, child.fork);
    }

    #[test]
    fn what_cannot_branch_off_is_told() {
        let root = GenerateRequest::default();
        assert_eq!(sentences(&branch(&root, 1)), [""; 0]);
        assert_eq!(sentences(&branch(&root, 19)), [""; 0]);
        for (step, last) in [(0, 19), (20, 19)] {
            let expected = format!("The step to branch off at must be from 1 to {last}, not {step}");
            assert_eq!(sentences(&branch(&root, step)), [expected]);
        }
        let one = GenerateRequest { num_inference_steps: 1, ..root.clone() };
        assert!(sentences(&branch(&one, 1))[0].contains("one step"));
        let wide = GenerateRequest { width_px: 192, ..root.clone() };
        assert!(sentences(&branch(&wide, 3))[0].contains("192 × 128 px"));
        let other = GenerateRequest { model: ModelRef::Path("/m".into()), ..root.clone() };
        assert!(sentences(&branch(&other, 3))[0].contains("model"));
        let twice = GenerateRequest { hires: Some(Hires { scale: 1.5, strength: 0.5 }), ..root.clone() };
        assert!(sentences(&branch(&twice, 3))[0].contains("two passes"));
        let wrong = GenerateRequest { guidance_scale: -1.0, ..root.clone() };
        assert!(sentences(&branch(&wrong, 3))[0].starts_with("The picture that it branches off: The guidance"));
        let deep = (0..=Fork::MAX_DEPTH).fold(root, |parent, _| branch(&parent, 2));
        assert!(sentences(&deep)[0].contains("at most 16"));
    }
}
