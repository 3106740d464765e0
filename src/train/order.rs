//! Which pictures make which batch, from the first to the last of a training: a function of the seed alone.

use super::draws::{Draw, draws};

/// The batches of all epochs.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    /// Pictures of each size, as often as an epoch shows them.
    groups: Vec<Vec<usize>>,
    batch: usize,
    /// The epoch that was asked for last, and its batches.
    known: Option<(u64, Vec<Vec<usize>>)>,
}

impl Order {
    /// Of pictures `(index, size, repeats)`; a batch holds pictures of one size.
    #[must_use]
    pub fn new(seed: u64, pictures: impl IntoIterator<Item = (usize, usize, u32)>, batch: usize) -> Self {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, size, repeats) in pictures {
            if groups.len() <= size {
                groups.resize(size + 1, Vec::new());
            }
            groups[size].extend(std::iter::repeat_n(index, repeats as usize));
        }
        Self { seed, groups, batch: batch.max(1), known: None }
    }

    /// Batches of an epoch. The last one of each size may be smaller.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.groups.iter().map(|group| group.len().div_ceil(self.batch) as u64).sum()
    }

    /// Batch `place`, counted from the training's beginning.
    ///
    /// # Panics
    /// When there are no pictures.
    pub fn batch(&mut self, place: u64) -> &[usize] {
        let (epoch, within) = (place / self.batches(), place % self.batches());
        if self.known.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.known = Some((epoch, self.epoch(epoch)));
        }
        let (_, batches) = self.known.as_ref().expect("it was just made");
        &batches[within as usize]
    }

    fn epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        let mut batches = Vec::new();
        for (size, group) in self.groups.iter().enumerate() {
            let mut group = group.clone();
            draws(self.seed, Draw::Order, epoch, 1 + size).shuffle(&mut group);
            batches.extend(group.chunks(self.batch).map(<[usize]>::to_vec));
        }
        draws(self.seed, Draw::Order, epoch, 0).shuffle(&mut batches);
        batches
    }
}

/// Which of `count` pictures are kept apart: `share` of them, rounded, but never all.
#[must_use]
pub fn kept_apart(seed: u64, count: usize, share: f64) -> Vec<bool> {
    let mut all: Vec<usize> = (0..count).collect();
    draws(seed, Draw::Split, 0, 0).shuffle(&mut all);
    let number = ((share * count as f64).round() as usize).min(count.saturating_sub(1));
    let mut apart = vec![false; count];
    all[..number].iter().for_each(|index| apart[*index] = true);
    apart
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_epoch_shows_every_picture_as_often_as_it_repeats() {
        let mut order = Order::new(3, [(0, 0, 1), (1, 1, 2), (2, 0, 1), (3, 0, 3), (4, 1, 1)], 2);
        // Five of the first size, three of the second.
        assert_eq!(order.batches(), 3 + 2);
        let mut epochs = Vec::new();
        for epoch in 0..2 {
            let mut seen = Vec::new();
            for place in 0..5 {
                let batch = order.batch(5 * epoch + place).to_vec();
                let first = [1, 4].contains(&batch[0]);
                assert!(batch.iter().all(|index| [1, 4].contains(index) == first), "one size: {batch:?}");
                seen.push(batch);
            }
            let mut all = seen.concat();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 1, 2, 3, 3, 3, 4]);
            epochs.push(seen);
        }
        assert_ne!(epochs[0], epochs[1]);
        // Whoever begins in the middle sees the same.
        let mut late = order.clone();
        late.known = None;
        assert_eq!(late.batch(7), epochs[1][2]);
    }

    proptest! {
        #[test]
        fn the_share_that_is_kept_apart_is_the_same_each_time(seed: u64, count in 1usize..200, share in 0.0f64..0.5) {
            let apart = kept_apart(seed, count, share);
            prop_assert_eq!(&apart, &kept_apart(seed, count, share));
            let number = apart.iter().filter(|apart| **apart).count();
            prop_assert!(number < count && (number as f64 - share * count as f64).abs() <= 1.0);
        }
    }
}
