//! The cuts: which pieces each kind of garment is made of, and what varies from one to the next.

mod bottoms;
mod extras;
mod sleeves;
mod tops;

use super::paint::Scene;
use super::rng::Stream;
use super::spec::{Kind, View};

/// Cuts a garment: its pieces, from the back to the front, within ±0.45.
pub fn cut(kind: Kind, view: View, stream: &mut Stream, scene: &mut Scene) {
    match kind {
        Kind::TShirt => tops::t_shirt(view, stream, scene),
        Kind::Shirt => tops::shirt(view, stream, scene),
        Kind::Hoodie => tops::hoodie(view, stream, scene),
        Kind::Jacket => tops::jacket(view, stream, scene),
        Kind::Dress => bottoms::dress(view, stream, scene),
        Kind::Skirt => bottoms::skirt(stream, scene),
        Kind::Jeans => bottoms::jeans(stream, scene),
        Kind::Shorts => bottoms::shorts(stream, scene),
        Kind::BucketHat => extras::bucket_hat(stream, scene),
        Kind::Shoe => extras::shoe(stream, scene),
        Kind::Bag => extras::bag(stream, scene),
    }
}
