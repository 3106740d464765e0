//! Between the autoencoder's tensors and 8-bit pictures.

use candle_core::{Device, Result as TensorResult, Tensor};

use crate::domain::Picture;

/// Picture `index` of `decoded` `[batch, 3, height, width]`, about −1..1: clamped, and rounded as diffusers does.
///
/// # Errors
/// When the tensor has another shape.
pub fn picture_from_tensor(decoded: &Tensor, index: usize) -> TensorResult<Picture> {
    let (_, _, height, width) = decoded.dims4()?;
    let planes: Vec<f32> = decoded.get(index)?.flatten_all()?.to_vec1()?;
    let pixels = height * width;
    let rgba = (0..pixels)
        .flat_map(|pixel| {
            let value = |channel: usize| {
                let unit = (planes[channel * pixels + pixel] / 2.0 + 0.5).clamp(0.0, 1.0);
                (255.0 * unit).round_ties_even() as u8
            };
            [value(0), value(1), value(2), 255]
        })
        .collect();
    Ok(Picture { width_px: width as u32, height_px: height as u32, rgba })
}

/// A picture as `[1, 3, height, width]` in −1..1; alpha is ignored.
///
/// # Errors
/// When the picture's bytes do not fit its sides.
pub fn tensor_from_picture(picture: &Picture) -> TensorResult<Tensor> {
    let (height, width) = (picture.height_px as usize, picture.width_px as usize);
    let planes: Vec<f32> = (0..3)
        .flat_map(|channel| picture.rgba.iter().skip(channel).step_by(4).map(|byte| f32::from(*byte) / 127.5 - 1.0))
        .collect();
    Tensor::from_vec(planes, (1, 3, height, width), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_the_way_there_and_back() {
        let rgba = (0..=255u8).flat_map(|value| [value, 255 - value, value / 2, 255]).collect();
        let picture = Picture { width_px: 32, height_px: 8, rgba };
        let tensor = tensor_from_picture(&picture).unwrap();
        assert_eq!(tensor.dims(), [1, 3, 8, 32]);
        assert_eq!(picture_from_tensor(&tensor, 0).unwrap(), picture);
    }

    #[test]
    fn values_beyond_the_range_are_clamped_and_nan_is_black() {
        let tensor = Tensor::new(&[[[[5.0f32]], [[-5.0]], [[f32::NAN]]]], &Device::Cpu).unwrap();
        assert_eq!(picture_from_tensor(&tensor, 0).unwrap().rgba, [255, 0, 0, 255]);
    }
}
