//! [`Album`]: the pictures that a training draws, by step and prompt. All of them are kept small, a few in full.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::Picture;
use crate::library::thumbnails::shrink;

/// The most pictures that are kept small: of more, every other step's go, but for the first and the newest.
const MAX_PICTURES: usize = 400;
/// The most pictures that are kept in full.
const MAX_FULL: usize = 8;

/// A picture with a number of its own, by which the window knows it.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Its number.
    pub number: u64,
    /// The picture.
    pub picture: Arc<Picture>,
}

/// A picture that a training drew.
#[derive(Clone, Debug)]
pub struct AlbumPicture {
    /// After this step.
    pub step: u64,
    /// Which prompt, from 0.
    pub prompt: usize,
    /// Its file.
    pub path: PathBuf,
    /// The picture, small.
    pub small: Numbered,
}

/// The pictures of a training.
#[derive(Clone, Debug, Default)]
pub struct Album {
    /// In the order of steps, those of a step in the order of prompts.
    list: Vec<AlbumPicture>,
    full: VecDeque<(PathBuf, Numbered)>,
}

impl Album {
    /// Takes a picture in full in. `number` gives numbers.
    pub fn add(&mut self, step: u64, prompt: usize, path: PathBuf, picture: Picture, number: &mut impl FnMut() -> u64) {
        let small = Arc::new(shrink(picture.clone()));
        self.add_full(path.clone(), Arc::new(picture), number());
        self.add_small(step, prompt, path, small, number());
    }

    /// Takes a small one in. One of the same step and prompt goes.
    pub fn add_small(&mut self, step: u64, prompt: usize, path: PathBuf, picture: Arc<Picture>, number: u64) {
        let small = Numbered { number, picture };
        let place = self.list.partition_point(|other| (other.step, other.prompt) < (step, prompt));
        let new = AlbumPicture { step, prompt, path, small };
        match self.list.get_mut(place).filter(|other| (other.step, other.prompt) == (step, prompt)) {
            Some(old) => *old = new,
            None => self.list.insert(place, new),
        }
        if self.list.len() > MAX_PICTURES {
            self.thin_out();
        }
    }

    /// Takes a picture in full in, in the place of the one that was looked at least lately.
    pub fn add_full(&mut self, path: PathBuf, picture: Arc<Picture>, number: u64) {
        self.full.retain(|(other, _)| *other != path);
        self.full.push_front((path, Numbered { number, picture }));
        self.full.truncate(MAX_FULL);
    }

    fn thin_out(&mut self) {
        let steps = self.steps();
        let (first, last) = (steps.first().copied(), steps.last().copied());
        let stays = |step: u64| {
            let place = steps.binary_search(&step).unwrap_or_default();
            place.is_multiple_of(2) || Some(step) == first || Some(step) == last
        };
        self.list.retain(|picture| stays(picture.step));
    }

    /// Forgets what was drawn after a step.
    pub fn cut_after(&mut self, step: u64) {
        self.list.retain(|picture| picture.step <= step);
    }

    /// The steps after which something was drawn, in order.
    #[must_use]
    pub fn steps(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = self.list.iter().map(|picture| picture.step).collect();
        steps.dedup();
        steps
    }

    /// The picture of a prompt after a step.
    #[must_use]
    pub fn at(&self, step: u64, prompt: usize) -> Option<&AlbumPicture> {
        let place = self.list.binary_search_by_key(&(step, prompt), |picture| (picture.step, picture.prompt)).ok()?;
        self.list.get(place)
    }

    /// A picture in full, if it is at hand; else small, with `false`.
    #[must_use]
    pub fn shown<'a>(&'a self, picture: &'a AlbumPicture) -> (&'a Numbered, bool) {
        match self.full(&picture.path) {
            Some(full) => (full, true),
            None => (&picture.small, false),
        }
    }

    /// A picture in full, if it is at hand.
    #[must_use]
    pub fn full(&self, path: &Path) -> Option<&Numbered> {
        self.full.iter().find(|(other, _)| other == path).map(|(_, full)| full)
    }

    /// Whether nothing was drawn yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(side: u32) -> Picture {
        Picture { width_px: side, height_px: side, rgba: vec![7; 4 * (side * side) as usize] }
    }

    fn album(steps: u64, prompts: usize) -> Album {
        let (mut album, mut numbers) = (Album::default(), 0..);
        for step in 0..steps {
            for prompt in 0..prompts {
                let path = PathBuf::from(format!("/{step}-{prompt}.png"));
                album.add(step * 10, prompt, path, picture(8), &mut || numbers.next().unwrap());
            }
        }
        album
    }

    #[test]
    fn a_long_training_keeps_its_first_and_its_newest_pictures() {
        let album = album(301, 3);
        assert!(album.list.len() <= MAX_PICTURES, "{}", album.list.len());
        let steps = album.steps();
        assert_eq!((steps[0], *steps.last().unwrap()), (0, 3000));
        assert!(steps.iter().all(|step| (0..3).all(|prompt| album.at(*step, prompt).is_some())));
        assert_eq!(album.full.len(), MAX_FULL);
    }

    #[test]
    fn the_newest_are_at_hand_in_full_and_others_when_they_come() {
        let mut album = album(4, 3);
        let newest = album.at(30, 2).unwrap().clone();
        assert!(album.shown(&newest).1);
        let oldest = album.at(0, 0).unwrap().clone();
        assert!(!album.shown(&oldest).1);
        album.add_full(oldest.path.clone(), Arc::new(picture(512)), 99);
        assert_eq!((album.shown(&oldest).0.number, album.shown(&oldest).1), (99, true));
        assert!(album.at(5, 0).is_none());
    }

    #[test]
    fn pictures_that_come_again_take_their_place() {
        let mut album = album(2, 1);
        album.add_small(10, 0, "/again.png".into(), Arc::new(picture(4)), 50);
        assert_eq!(album.list.len(), 2);
        assert_eq!(album.at(10, 0).unwrap().small.number, 50);
    }
}
