//! Classifier-free guidance and its rescaling.

use atelier::sampling::guidance::guide;

use crate::support::{self, Tensors};

/// Guided values are about ten times the predictions, in f32.
const TOLERANCE: f64 = 2e-5;

#[test]
fn guidance() {
    let tensors = Tensors::read("goldens/guidance.safetensors");
    let (uncond, cond) = (tensors.get("uncond"), tensors.get("cond"));
    support::group("guidance", |group| {
        for name in tensors.names().filter(|name| name.starts_with("guided.")) {
            group.case();
            // guided.scale=S.rescale=R
            let (_, numbers) = name.split_once("scale=").expect("a scale in the name");
            let (scale, rescale) = numbers.split_once(".rescale=").expect("a rescale in the name");
            let (scale, rescale) = (scale.parse().expect("a number"), rescale.parse().expect("a number"));
            let guided = guide(uncond.floats(), cond.floats(), cond.shape[0], scale, rescale);
            group.within(name, &guided, tensors.get(name).floats(), TOLERANCE);
        }
    });
}
