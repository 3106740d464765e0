//! Linear layers between a map of channels, `[batch, channels, pixels]`, and rows of tokens, `[batch, pixels, channels]`:
//! the one is turned into the other while it is packed or written, not before or after.

use super::check_len;
use super::gemm::{Bias, Finish, Matrix, product};
use super::linear::Linear;

/// `out = weight x + bias` at each pixel: `x` is `[batch, in_features, pixels]`, `out` `[batch, pixels, out_features]`.
pub fn map_to_tokens(layer: &Linear<'_>, batch: usize, pixels: usize, x: &[f32], out: &mut [f32]) {
    let (inputs, outputs) = (layer.in_features, layer.out_features);
    check_len("projection: the input", x, batch * pixels * inputs);
    check_len("projection: the output", out, batch * pixels * outputs);
    let weight = Matrix::new(layer.weight, inputs).transposed();
    let bias = layer.bias.map_or(Bias::None, Bias::PerColumn);
    for picture in 0..batch {
        let x = Matrix::new(&x[picture * pixels * inputs..][..pixels * inputs], pixels).transposed();
        let out = &mut out[picture * pixels * outputs..][..pixels * outputs];
        product(pixels, outputs, inputs, x, weight, Finish { bias, ..Finish::default() }, out, outputs);
    }
}

/// `out = weight x + bias + residual` at each pixel: `x` is `[batch, pixels, in_features]`, `out` and `residual`
/// `[batch, out_features, pixels]`.
pub fn tokens_to_map(
    layer: &Linear<'_>,
    batch: usize,
    pixels: usize,
    x: &[f32],
    residual: Option<&[f32]>,
    out: &mut [f32],
) {
    let (inputs, outputs) = (layer.in_features, layer.out_features);
    check_len("projection: the input", x, batch * pixels * inputs);
    check_len("projection: the output", out, batch * pixels * outputs);
    if let Some(residual) = residual {
        check_len("projection: the residual", residual, batch * pixels * outputs);
    }
    let weight = Matrix::new(layer.weight, inputs);
    let bias = layer.bias.map_or(Bias::None, Bias::PerRow);
    for picture in 0..batch {
        let x = Matrix::new(&x[picture * pixels * inputs..][..pixels * inputs], inputs).transposed();
        let at = picture * pixels * outputs;
        let residual = residual.map(|residual| &residual[at..][..pixels * outputs]);
        let out = &mut out[at..][..pixels * outputs];
        product(outputs, pixels, inputs, weight, x, Finish { bias, residual, ..Finish::default() }, out, pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{assert_near, values};

    #[test]
    fn both_ways_equal_plain_loops() {
        for (batch, pixels, inputs, outputs) in [(2, 35, 9, 13), (1, 1, 3, 1), (2, 0, 3, 4), (0, 5, 3, 4)] {
            let (weight, bias) = (values(1, inputs * outputs), values(2, outputs));
            let layer =
                Linear { in_features: inputs, out_features: outputs, weight: (&*weight).into(), bias: Some(&bias) };
            let (x, residual) = (values(3, batch * pixels * inputs), values(4, batch * pixels * outputs));
            // A place in a map, and in tokens.
            let map = |picture: usize, pixel: usize, channel: usize, channels: usize| {
                (picture * channels + channel) * pixels + pixel
            };
            let token = |picture: usize, pixel: usize, channel: usize, channels: usize| {
                (picture * pixels + pixel) * channels + channel
            };
            let mut of_map = vec![0.0f64; batch * pixels * outputs];
            let mut of_tokens = of_map.clone();
            for (picture, pixel) in (0..batch).flat_map(|picture| (0..pixels).map(move |pixel| (picture, pixel))) {
                for output in 0..outputs {
                    let sum = |place: &dyn Fn(usize) -> usize| -> f64 {
                        let term = |input| f64::from(weight[output * inputs + input]) * f64::from(x[place(input)]);
                        f64::from(bias[output]) + (0..inputs).map(term).sum::<f64>()
                    };
                    of_map[token(picture, pixel, output, outputs)] = sum(&|input| map(picture, pixel, input, inputs));
                    let at = map(picture, pixel, output, outputs);
                    of_tokens[at] = f64::from(residual[at]) + sum(&|input| token(picture, pixel, input, inputs));
                }
            }
            let mut out = vec![f32::NAN; residual.len()];
            map_to_tokens(&layer, batch, pixels, &x, &mut out);
            assert_near("tokens", &out, &of_map, 3e-6);
            tokens_to_map(&layer, batch, pixels, &x, Some(&residual), &mut out);
            assert_near("map", &out, &of_tokens, 3e-6);
        }
    }
}
