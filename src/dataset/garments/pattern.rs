//! Stripes, dots and checks, as the share of the second colour at a place on the cloth.
//!
//! Sizes are in 128ths of the picture and coarse on purpose: latents have one cell for 8×8 px, and what a network knows of
//! places it knows best one level further in, where a cell is 16×16 px. From one stripe, dot or band to the next there are
//! two of those; with less, a small network draws labyrinths. Prints are centred on the garment, as a careful cutter lays
//! them, with a stripe, dot or crossing in the middle: where one falls then follows from the garment's outline, instead of
//! being one more thing to guess.

use super::pen::Point;
use super::rng::Stream;
use super::spec::Pattern;

/// A pattern with its sizes, lying on the cloth.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    motif: Motif,
    /// From one stripe, dot or band to the next, in 128ths of the picture.
    period: f32,
    /// The width of a stripe or band, or the radius of a dot, in 128ths.
    size: f32,
    /// Sine and cosine of the angle it is turned by.
    turn: (f32, f32),
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Motif {
    Of(Pattern),
    /// Stripes that go up and down as they run across: no pattern of the data set, but of a lesson that comes later.
    Zigzag,
}

/// How far it is from one peak of a zigzag to the next, in 128ths of the picture.
const ZIGZAG_WIDTH: f32 = 42.0;
/// How steep a zigzag is.
const ZIGZAG_SLOPE: f32 = 0.65;

/// Which way stripes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StripeWay {
    /// Across the garment.
    Horizontal,
    /// Along it.
    Vertical,
    /// From one side to the other.
    Diagonal,
}

impl StripeWay {
    /// The way that the stripes of a variation run: half of them across.
    pub fn of(variation: u64) -> Self {
        match Stream::keyed(&[variation, 0x57a7]).below(6) {
            0..=2 => Self::Horizontal,
            3 | 4 => Self::Vertical,
            _ => Self::Diagonal,
        }
    }
}

impl Print {
    /// The print of a variation.
    pub fn of(pattern: Pattern, variation: u64) -> Self {
        let mut stream = Stream::keyed(&[variation, 0x9a77]);
        let (period, size, angle) = match pattern {
            Pattern::Plain => (1.0, 0.0, 0.0),
            Pattern::Striped => {
                let period = stream.range(33.0, 35.0);
                let angle = match StripeWay::of(variation) {
                    StripeWay::Horizontal => 0.0,
                    StripeWay::Vertical => std::f32::consts::FRAC_PI_2,
                    StripeWay::Diagonal => stream.pick(&[-1.0, 1.0]) * std::f32::consts::FRAC_PI_4,
                };
                (period, period * 0.48, angle)
            }
            Pattern::Dotted => (stream.range(33.0, 35.0), stream.range(10.2, 10.8), 0.0),
            Pattern::Checked => (stream.range(34.0, 36.0), stream.range(12.6, 13.2), 0.0),
        };
        Self { motif: Motif::Of(pattern), period, size, turn: angle.sin_cos() }
    }

    /// The zigzag of a variation.
    pub fn zigzag(variation: u64) -> Self {
        let period = Stream::keyed(&[variation, 0x21ba]).range(33.0, 35.0);
        Self { motif: Motif::Zigzag, period, size: period * 0.48, turn: (0.0, 1.0) }
    }

    /// The share of the second colour at a place (in 128ths of the picture) on a picture of `scale` px a 128th; edges
    /// are one pixel soft.
    pub fn share(&self, place: Point, scale: f32) -> f32 {
        let (sin, cos) = self.turn;
        let x = place[0] * cos + place[1] * sin;
        let y = place[1] * cos - place[0] * sin;
        let edge = |inside: f32| (inside * scale + 0.5).clamp(0.0, 1.0);
        // How far it is to the nearest multiple of a step.
        let off = |at: f32, step: f32| (at + step / 2.0).rem_euclid(step) - step / 2.0;
        let band = |at: f32| edge(self.size / 2.0 - off(at, self.period).abs());
        match self.motif {
            Motif::Of(Pattern::Plain) => 0.0,
            Motif::Of(Pattern::Striped) => band(y),
            Motif::Zigzag => band(y + ZIGZAG_SLOPE * off(x, ZIGZAG_WIDTH).abs()),
            Motif::Of(Pattern::Dotted) => {
                // Rows are set closer than the dots in them and every second one by half a step: a polka dot.
                let row_step = self.period * 0.87;
                let row = (y / row_step).round();
                let shift = if row.rem_euclid(2.0) < 0.5 { 0.0 } else { self.period / 2.0 };
                edge(self.size - off(x + shift, self.period).hypot(off(y, row_step)))
            }
            Motif::Of(Pattern::Checked) => {
                // Woven: where bands cross, the colour is full.
                let (across, along) = (band(x), band(y));
                (0.9 * across.max(along)).max(across.min(along))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every print shows both colours in earnest.
    #[test]
    fn both_colours_show() {
        for (pattern, low, high) in
            [(Pattern::Striped, 0.4, 0.55), (Pattern::Dotted, 0.22, 0.5), (Pattern::Checked, 0.35, 0.6)]
        {
            for variation in 0..20 {
                let print = Print::of(pattern, variation);
                let places = (0..10_000).map(|i| [(i % 100) as f32 * 1.3, (i / 100) as f32 * 1.3]);
                let share = places.map(|place| print.share(place, 1.0)).sum::<f32>() / 10_000.0;
                assert!((low..high).contains(&share), "{pattern:?} {variation}: {share}");
            }
        }
    }
}
