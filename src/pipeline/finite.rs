//! Values that left the range of the numbers they were computed in: noticed, named, and computed again in wider ones, so
//! that nobody gets a black picture.

use candle_core::Tensor;

use crate::domain::{ComputeType, Result, UserError};
use crate::models::{Model, Part};
use crate::nn::{Place, engine_error};

fn name(part: Part) -> &'static str {
    match part {
        Part::TextEncoder => "text encoder",
        Part::UNet => "UNet",
        Part::Vae => "VAE",
    }
}

fn sentence(part: Part, numbers: ComputeType) -> String {
    format!("The values of the model's {} left the range of {numbers}", name(part))
}

/// Looks at a part's results, where it computes on a card: what is not finite would be a black picture.
///
/// # Errors
/// When one is not finite; the error is known again by [`Model`]'s owner, who may try wider numbers.
pub(super) fn check(values: &[f32], part: Part, place: &Place) -> Result<()> {
    // A sum is quick, and not finite where one of its terms is not; that it alone is not must be looked at.
    if place.is_kernels() || values.iter().sum::<f32>().is_finite() || values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(UserError::failed(sentence(part, place.compute()))
        .hint("choose exact computing or the processor in Settings; the model's file may be damaged"))
}

/// The same of a tensor on the processor.
///
/// # Errors
/// As [`check`].
pub(super) fn check_tensor(tensor: &Tensor, part: Part, place: &Place) -> Result<()> {
    if place.is_kernels() {
        return Ok(());
    }
    let values: Vec<f32> = tensor.flatten_all().and_then(|flat| flat.to_vec1()).map_err(engine_error)?;
    check(&values, part, place)
}

/// The part of a model whose values an error says to have left their range.
fn part_of(error: &UserError, model: &Model) -> Option<Part> {
    let place = |part| match part {
        Part::TextEncoder => model.text.encoder.place(),
        Part::UNet => model.unet.place(),
        Part::Vae => model.vae.place(),
    };
    Part::ALL.into_iter().find(|part| error.sentence == sentence(*part, place(*part).compute()))
}

/// Runs work on a model. Where values leave their range, the part that they are of is made wider, and the work is done
/// again; `tell` is given a sentence on it.
///
/// # Errors
/// Those of the work, when there are no wider numbers, or no memory for them.
pub(super) fn in_range<T>(
    model: &mut Model,
    tell: &mut dyn FnMut(String),
    mut work: impl FnMut(&Model) -> Result<T>,
) -> Result<T> {
    loop {
        let error = match work(model) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(part) = part_of(&error, model) else { return Err(error) };
        if !model.widen(part)? {
            return Err(error);
        }
        let numbers = model.placement().numbers(model.info.family, part);
        tracing::warn!("{}: computed again in {numbers}", error.sentence);
        tell(format!("{}: computed again in {numbers}", error.sentence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cancel, DeviceChoice, ModelRef, Precision};
    use crate::models::{self, Placement};
    use crate::nn::Backend;

    fn on_portable() -> Model {
        let placement = Placement::on(Backend::open(DeviceChoice::Portable), Precision::Fast);
        models::open_on(placement, &ModelRef::Starter, None, &Cancel::default(), &mut |_| ()).unwrap()
    }

    #[test]
    fn what_leaves_its_range_is_computed_again_in_wider_numbers() {
        let mut model = on_portable();
        let (mut tried, mut told) = (Vec::new(), Vec::new());
        let largest = in_range(&mut model, &mut |sentence| told.push(sentence), |model| {
            let place = model.unet.place();
            tried.push(place.compute());
            // 70000 is beyond f16.
            let values = place
                .enter(&Tensor::new(&[70_000f32], &candle_core::Device::Cpu).unwrap())
                .and_then(|tensor| place.leave(&tensor)?.to_vec1::<f32>())
                .map_err(engine_error)?;
            check(&values, Part::UNet, place)?;
            Ok(values[0])
        });
        assert_eq!(tried, [ComputeType::F16, ComputeType::Bf16]);
        assert!((largest.unwrap() - 70_000.0).abs() < 300.0);
        assert_eq!(told, ["The values of the model's UNet left the range of f16: computed again in bf16"]);
        assert_eq!(model.vae.place().compute(), ComputeType::F16);
    }

    #[test]
    fn it_ends_where_there_are_no_wider_numbers() {
        let mut model = on_portable();
        for part in Part::ALL {
            let mut tries = 0;
            let error = in_range(&mut model, &mut |_| (), |model| {
                tries += 1;
                let numbers = model.placement().numbers(model.info.family, part);
                Err::<(), _>(UserError::failed(sentence(part, numbers)))
            });
            assert_eq!((tries, error.unwrap_err().sentence), (3, sentence(part, ComputeType::F32)));
        }
        // Any other error is none of it.
        assert!(in_range(&mut model, &mut |_| (), |_| Err::<(), _>(UserError::failed("No"))).is_err());
    }
}
