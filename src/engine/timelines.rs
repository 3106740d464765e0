//! [`Timelines`]: every step of the pictures made lately, to be seen in full and to be gone on from.

use std::collections::VecDeque;

use crate::pipeline::Snapshot;

/// Bytes of memory for steps. A picture of 512 × 512 px takes 64 KiB a step for its latents, and as much for each earlier
/// prediction that its sampler looks back at.
pub const MEMORY_BUDGET: usize = 256 << 20;

/// How the bytes of a picture's steps begin.
const MAGIC: &[u8; 8] = b"ATLSTEP1";

/// The steps of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// What the picture is made of: see [`Snapshot::key`].
    pub key: String,
    /// The numbers of the steps, from 1, and the picture after them.
    pub reached: Vec<(u32, Snapshot)>,
    size: usize,
}

impl Steps {
    /// None yet, of a picture.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { key: key.to_owned(), reached: Vec::new(), size: 0 }
    }

    /// Takes a step in, while there is room: a picture so large that not all of its steps fit is left with the first.
    pub fn push(&mut self, step: u32, snapshot: Snapshot) {
        let size = snapshot.size();
        if self.size + size <= MEMORY_BUDGET {
            self.size += size;
            self.reached.push((step, snapshot));
        }
    }

    /// The picture after a step.
    #[must_use]
    pub fn at(&self, step: u32) -> Option<&Snapshot> {
        self.reached.iter().find(|(number, _)| *number == step).map(|(_, snapshot)| snapshot)
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (step, snapshot) in &self.reached {
            let bytes = snapshot.to_bytes();
            out.extend(step.to_le_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(bytes);
        }
        out
    }

    /// One step of what [`Self::to_bytes`] wrote; `None` where it is not there or damaged.
    #[must_use]
    pub fn step_in(bytes: &[u8], step: u32) -> Option<Snapshot> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        loop {
            let (number, after) = rest.split_first_chunk::<4>()?;
            let (len, after) = after.split_first_chunk::<8>()?;
            let (snapshot, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
            if u32::from_le_bytes(*number) == step {
                return Snapshot::from_bytes(snapshot);
            }
            rest = after;
        }
    }
}

/// The steps of the pictures made lately, within a budget: those of the oldest pictures go first.
pub struct Timelines {
    /// Newest first.
    pictures: VecDeque<Steps>,
    budget: usize,
}

impl Default for Timelines {
    fn default() -> Self {
        Self { pictures: VecDeque::new(), budget: MEMORY_BUDGET }
    }
}

impl Timelines {
    /// Takes a picture's steps in.
    pub fn add(&mut self, steps: Steps) {
        self.pictures.retain(|other| other.key != steps.key);
        self.pictures.push_front(steps);
        let mut size = 0;
        self.pictures.retain(|steps| {
            size += steps.size;
            size <= self.budget
        });
    }

    /// The picture `key` after a step, if that is still known.
    #[must_use]
    pub fn find(&self, key: &str, step: u32) -> Option<Snapshot> {
        self.pictures.iter().find(|steps| steps.key == key)?.at(step).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(key: &str, count: u32, values: usize) -> Steps {
        let mut steps = Steps::new(key);
        for step in 1..=count {
            let latents = vec![step as f32; values];
            let (key, state) = (key.to_owned(), crate::pipeline::SamplerState::default());
            steps.push(step, Snapshot { key, call: step as usize, draws: 1, latents, state });
        }
        steps
    }

    #[test]
    fn the_oldest_pictures_go_when_there_is_no_more_room() {
        let mut timelines = Timelines { budget: 2 * steps("a", 3, 1000).size + 1, ..Timelines::default() };
        for key in ["a", "b", "c"] {
            timelines.add(steps(key, 3, 1000));
        }
        let known = |key| timelines.find(key, 2).map(|snapshot| snapshot.call);
        assert_eq!((known("a"), known("b"), known("c")), (None, Some(2), Some(2)));
        assert!(timelines.find("c", 4).is_none());
        timelines.add(steps("b", 1, 10));
        assert!(timelines.find("b", 2).is_none(), "a picture that was made again has its new steps");
    }

    #[test]
    fn steps_are_found_in_their_file_and_nothing_in_another() {
        let steps = steps("a", 3, 5);
        let bytes = steps.to_bytes();
        for step in 1..=3 {
            assert_eq!(Steps::step_in(&bytes, step).as_ref(), steps.at(step));
        }
        assert_eq!(Steps::step_in(&bytes, 4), None);
        for len in 0..bytes.len() {
            assert_eq!(Steps::step_in(&bytes[..len], 3), None, "cut off after {len} bytes");
        }
        assert_eq!(Steps::step_in(b"something else", 1), None);
    }
}
