//! What a catalogue picture shows: the kinds, colours, patterns, backgrounds and views, and which of them go together.

use super::rng::Stream;

/// What is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GarmentSpec {
    /// The garment.
    pub kind: Kind,
    /// Its main colour.
    pub colour: Colour,
    /// What is printed on it.
    pub pattern: Pattern,
    /// The colour of the pattern; `None` for a plain garment.
    pub pattern_colour: Option<Colour>,
    /// What it is photographed on.
    pub background: Background,
    /// How it is presented.
    pub view: View,
    /// Decides all that the words leave open: the cut, the folds, the pose, the light.
    pub variation: u64,
}

/// Which garments a picture may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The combinations of colour, kind and pattern to learn from.
    Train,
    /// The combinations that are never in training: one in twelve.
    HeldOut,
}

/// Declares an enum without data, with a table of all its values and the words that captions use for each, the most
/// usual one first.
macro_rules! worded {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => [$($word:literal),+]),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The words for it, the most usual one first; never empty.
            #[must_use]
            pub fn words(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($word),+]),+ }
            }

            /// The most usual word for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                self.words()[0]
            }
        }
    };
}

worded! {
    /// Kinds of garments.
    Kind {
        /// Short sleeves, no collar.
        TShirt => ["t-shirt", "tee"],
        /// Long sleeves, collar, buttons.
        Shirt => ["shirt", "button-up shirt", "long-sleeved shirt"],
        /// Hood, pocket, long sleeves.
        Hoodie => ["hoodie", "hooded sweatshirt"],
        /// Open in front, long sleeves.
        Jacket => ["jacket", "open jacket"],
        /// Bodice and skirt in one.
        Dress => ["dress", "summer dress"],
        /// From the waist down.
        Skirt => ["skirt"],
        /// Long legs.
        Jeans => ["jeans", "trousers", "pants"],
        /// Short legs.
        Shorts => ["shorts"],
        /// Round crown, sloping brim.
        BucketHat => ["bucket hat", "hat"],
        /// A sneaker, from its side.
        Shoe => ["shoe", "sneaker", "trainer"],
        /// With handles.
        Bag => ["bag", "handbag", "tote bag"],
    }
}

worded! {
    /// Colours of garments and their patterns.
    Colour {
        /// Signal red.
        Red => ["red"],
        /// Bright orange.
        Orange => ["orange"],
        /// Warm yellow.
        Yellow => ["yellow"],
        /// Grass green.
        Green => ["green"],
        /// Between green and blue.
        Teal => ["teal"],
        /// Cobalt blue.
        Blue => ["blue"],
        /// Very dark blue.
        Navy => ["navy", "navy blue"],
        /// Violet.
        Purple => ["purple"],
        /// Strong pink.
        Pink => ["pink"],
        /// Chocolate.
        Brown => ["brown"],
        /// Nearly black.
        Black => ["black"],
        /// Nearly white.
        White => ["white"],
    }
}

worded! {
    /// What is printed on a garment.
    Pattern {
        /// Nothing.
        Plain => ["plain", "solid"],
        /// Broad stripes of the second colour, horizontal, vertical or diagonal.
        Striped => ["striped"],
        /// Dots of the second colour.
        Dotted => ["dotted", "polka dot"],
        /// A grid of broad bands of the second colour.
        Checked => ["checked", "checkered"],
    }
}

worded! {
    /// What a garment is photographed on.
    Background {
        /// Nearly white.
        White => ["white"],
        /// Light grey.
        Grey => ["grey", "light grey"],
        /// Warm and pale.
        Beige => ["beige", "cream"],
        /// Sky.
        PaleBlue => ["pale blue", "light blue"],
        /// Blush.
        PalePink => ["pale pink", "light pink"],
        /// From white above to grey below.
        Gradient => ["gradient", "softly lit"],
    }
}

worded! {
    /// How a garment is presented.
    View {
        /// From the front (a shoe from its side), nearly upright.
        Studio => ["from the front"],
        /// On a surface, from above: turned further, sleeves spread.
        LaidFlat => ["laid flat"],
        /// On a hanger.
        OnHanger => ["on a hanger"],
    }
}

impl GarmentSpec {
    /// Picture `index` of the data set that `seed` names. Kinds and colours are equally frequent; one in seven is plain,
    /// two in seven each are striped, dotted and checked (held out: equally frequent).
    #[must_use]
    pub fn sample(seed: u64, index: u64, split: Split) -> Self {
        let mut stream = Stream::keyed(&[seed, index, 0x5bec]);
        let (kind, colour, pattern) = loop {
            let kind = stream.pick(Kind::ALL);
            let colour = stream.pick(Colour::ALL);
            let pattern = match split {
                // The seven draws of which one is plain: that is soon learnt.
                Split::Train => Pattern::ALL[stream.below(7).div_ceil(2)],
                Split::HeldOut => stream.pick(Pattern::ALL),
            };
            if Split::of(kind, colour, pattern) == split {
                break (kind, colour, pattern);
            }
        };
        let pattern_colour = (pattern != Pattern::Plain).then(|| {
            let partners: Vec<Colour> = Colour::ALL.iter().copied().filter(|other| colour.contrasts(*other)).collect();
            // White goes with most colours and is what people ask for: every fifth pattern that can be white is, at least.
            if partners.contains(&Colour::White) && stream.chance(0.2) { Colour::White } else { stream.pick(&partners) }
        });
        let background = stream.pick(Background::ALL);
        let view = match stream.unit() {
            draw if draw < 0.2 && kind.hangs() => View::OnHanger,
            draw if (0.2..0.45).contains(&draw) => View::LaidFlat,
            _ => View::Studio,
        };
        Self { kind, colour, pattern, pattern_colour, background, view, variation: stream.bits() }
    }
}

impl Split {
    /// To which side a combination belongs. One in twelve is held out, on a lattice: for every kind and pattern exactly
    /// one colour is, so nothing else is missing from training but the combination itself.
    #[must_use]
    pub fn of(kind: Kind, colour: Colour, pattern: Pattern) -> Self {
        let cell = colour as usize + 5 * kind as usize + 3 * pattern as usize;
        if cell.is_multiple_of(Colour::ALL.len()) { Self::HeldOut } else { Self::Train }
    }
}

impl Kind {
    /// Whether it has shoulders to put on a hanger.
    #[must_use]
    pub fn hangs(self) -> bool {
        matches!(self, Self::TShirt | Self::Shirt | Self::Hoodie | Self::Jacket | Self::Dress)
    }

    /// Whether its usual word is a plural ("a pair of jeans").
    #[must_use]
    pub fn is_plural(self) -> bool {
        matches!(self, Self::Jeans | Self::Shorts)
    }
}

impl Colour {
    /// Its middle value, sRGB in [0, 1].
    #[must_use]
    pub fn srgb(self) -> [f32; 3] {
        let [red, green, blue]: [u8; 3] = match self {
            Self::Red => [206, 32, 40],
            Self::Orange => [243, 130, 28],
            Self::Yellow => [246, 212, 44],
            Self::Green => [52, 150, 58],
            Self::Teal => [16, 158, 160],
            Self::Blue => [44, 104, 220],
            Self::Navy => [30, 40, 96],
            Self::Purple => [124, 52, 168],
            Self::Pink => [242, 116, 172],
            Self::Brown => [118, 72, 40],
            Self::Black => [34, 34, 37],
            Self::White => [240, 240, 237],
        };
        [red, green, blue].map(|value| f32::from(value) / 255.0)
    }

    /// Whether a pattern of the other colour is plain to see on it: far enough apart in `OKLab`.
    #[must_use]
    pub fn contrasts(self, other: Self) -> bool {
        let (a, b) = (super::shade::oklab(self.srgb()), super::shade::oklab(other.srgb()));
        let squares: f32 = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum();
        squares.sqrt() > 0.26
    }
}

impl Background {
    /// Its colour above and below, sRGB in [0, 1].
    #[must_use]
    pub fn srgb(self) -> [[f32; 3]; 2] {
        let [above, below]: [[u8; 3]; 2] = match self {
            Self::White => [[253, 253, 253], [249, 249, 249]],
            Self::Grey => [[204, 205, 207], [196, 197, 199]],
            Self::Beige => [[236, 224, 203], [230, 217, 195]],
            Self::PaleBlue => [[202, 222, 241], [194, 216, 237]],
            Self::PalePink => [[248, 220, 224], [243, 213, 218]],
            Self::Gradient => [[251, 251, 252], [188, 190, 195]],
        };
        [above, below].map(|colour| colour.map(|value| f32::from(value) / 255.0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// One combination in twelve is held out, for each kind and pattern exactly one colour, and sampling keeps to it.
    #[test]
    fn the_split_is_even_and_kept() {
        for kind in Kind::ALL {
            for pattern in Pattern::ALL {
                let held = Colour::ALL.iter().filter(|colour| Split::of(*kind, **colour, *pattern) == Split::HeldOut);
                assert_eq!(held.count(), 1, "{kind:?} {pattern:?}");
            }
        }
        let mut seen = HashSet::new();
        for index in 0..12_000 {
            for split in [Split::Train, Split::HeldOut] {
                let spec = GarmentSpec::sample(1, index, split);
                assert_eq!(Split::of(spec.kind, spec.colour, spec.pattern), split);
                assert_eq!(spec.pattern == Pattern::Plain, spec.pattern_colour.is_none());
                assert!(spec.pattern_colour.is_none_or(|other| spec.colour.contrasts(other)));
                assert!(spec.view != View::OnHanger || spec.kind.hangs());
                seen.insert((split, spec.kind, spec.colour, spec.pattern));
            }
        }
        // All of them turn up: 528 combinations, 44 of them held out.
        assert_eq!(seen.iter().filter(|(split, ..)| *split == Split::HeldOut).count(), 44);
        assert_eq!(seen.len(), 528);
    }

    /// Every colour can carry a pattern in at least five others, and white is told from black.
    #[test]
    fn colours_have_partners() {
        for colour in Colour::ALL {
            let partners = Colour::ALL.iter().filter(|other| colour.contrasts(**other)).count();
            assert!(partners >= 5, "{colour:?}: {partners}");
            assert!(!colour.contrasts(*colour));
        }
    }
}
