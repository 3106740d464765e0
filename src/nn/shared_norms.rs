//! Group normalisation with the statistics of a whole picture while a network sees only a part of it.
//!
//! Mean and variance of a tile differ from the picture's, and with them its colours. Here what all norms of a network
//! measure is recorded on one run and given to others; a norm is known by its place in the order of their calls. As the
//! [`probe`](super::probe), this holds for one thread, so that the network itself needs to know nothing of it.

use std::cell::RefCell;

use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::ops::{self, Convolved, GroupNormWay, Normed};

/// What one norm measures: mean and variance of each group of each picture of a batch.
#[derive(Clone, Debug, PartialEq)]
struct Moments(Vec<(f64, f64)>);

/// What all group normalisations of a network measured on one run, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedNorms(Vec<Moments>);

enum Mode {
    /// Each norm takes its own statistics.
    Own,
    /// The same, and they are noted.
    Recording(SharedNorms),
    /// They are taken from here, from place `next` on.
    Given { norms: SharedNorms, next: usize },
}

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Own) };
}

/// Goes back to [`Mode::Own`], also when the work panics.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        MODE.set(Mode::Own);
    }
}

impl SharedNorms {
    /// Runs `work`, one run of a network, on this thread; with its result comes what its norms measured.
    pub fn recorded<T>(work: impl FnOnce() -> T) -> (T, Self) {
        let _restore = Restore;
        MODE.set(Mode::Recording(Self::default()));
        let result = work();
        match MODE.replace(Mode::Own) {
            Mode::Recording(norms) => (result, norms),
            Mode::Own | Mode::Given { .. } => (result, Self::default()),
        }
    }

    /// Runs `work`, one run of the network that was recorded, on this thread with these statistics.
    pub fn given<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restore = Restore;
        MODE.set(Mode::Given { norms: self.clone(), next: 0 });
        work()
    }
}

/// [`ops::group_norm`] with the statistics that hold on this thread.
///
/// # Errors
/// As there, and when statistics are given that do not belong to this network.
pub(super) fn group_norm(x: &Tensor, norm: Normed) -> Result<Tensor> {
    let Normed { weight, bias, way } = norm;
    let GroupNormWay { groups, eps, silu } = way;
    let given = MODE.with_borrow_mut(|mode| match mode {
        Mode::Own => Ok(None),
        Mode::Recording(norms) => {
            norms.0.push(measured(x, groups)?);
            Ok(None)
        }
        Mode::Given { norms, next } => {
            let Some(moments) = norms.0.get(*next) else { bail!("statistics of {next} norms are given, not of more") };
            *next += 1;
            Ok(Some(moments.clone()))
        }
    })?;
    let Some(Moments(moments)) = given else {
        return ops::group_norm(x, weight, bias, way);
    };
    let (batch, channels, height, width) = x.dims4()?;
    if groups == 0 || channels % groups != 0 || moments.len() != batch * groups {
        bail!("{} statistics do not fit {:?} in {groups} groups", moments.len(), x.dims())
    }
    let (weight, bias) = (weight.to_vec1::<f32>()?, bias.to_vec1::<f32>()?);
    if ops::takes(x) {
        let of = |plane: usize| {
            let (mean, variance) = moments[plane / (channels / groups)];
            let scale = f64::from(weight[plane % channels]) / (variance + eps).sqrt();
            (scale as f32, (f64::from(bias[plane % channels]) - mean * scale) as f32)
        };
        let (scales, shifts): (Vec<f32>, Vec<f32>) = (0..batch * channels).map(of).unzip();
        return ops::normed_by(x, &scales, &shifts, silu);
    }
    let mut values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    values.par_chunks_mut((height * width).max(1)).enumerate().for_each(|(plane, values)| {
        let (mean, variance) = moments[plane / (channels / groups)];
        let scale = f64::from(weight[plane % channels]) / (variance + eps).sqrt();
        let shift = (f64::from(bias[plane % channels]) - mean * scale) as f32;
        let scale = scale as f32;
        for value in values {
            *value = *value * scale + shift;
        }
    });
    let y = Tensor::from_vec(values, x.shape(), x.device())?;
    if silu { ops::silu(&y) } else { Ok(y) }
}

/// [`ops::norm_conv2d`] with the statistics that hold on this thread.
///
/// # Errors
/// As there, and when statistics are given that do not belong to this network.
pub(super) fn norm_conv2d(
    x: &Tensor,
    shift: Option<&Tensor>,
    norm: Normed,
    conv: Convolved,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    if MODE.with_borrow(|mode| matches!(mode, Mode::Own)) {
        return ops::norm_conv2d(x, shift, norm, conv, residual);
    }
    let shifted = shift.map(|shift| ops::add_channels(x, shift)).transpose()?;
    let normed = group_norm(shifted.as_ref().unwrap_or(x), norm)?;
    ops::conv2d(&normed, conv.weight, Some(conv.bias), residual, conv.way)
}

fn measured(x: &Tensor, groups: usize) -> Result<Moments> {
    let (batch, channels, height, width) = x.dims4()?;
    let count = channels / groups.max(1) * height * width;
    if ops::takes(x) && groups > 0 && channels % groups == 0 {
        let rows = x.to_dtype(DType::F32)?.contiguous()?.reshape((batch * groups, ()))?;
        let mean = rows.mean_keepdim(1)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(1)?.to_vec1::<f32>()?;
        let moments = mean.flatten_all()?.to_vec1::<f32>()?.into_iter().zip(variance);
        return Ok(Moments(moments.map(|(mean, variance)| (f64::from(mean), f64::from(variance))).collect()));
    }
    let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let moments = values.par_chunks(count.max(1)).map(|group| {
        let mean = group.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64;
        let variance = group.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count as f64;
        (mean, variance)
    });
    let moments: Vec<(f64, f64)> = moments.collect();
    if moments.len() != batch * groups {
        bail!("group_norm: {channels} channels do not fit {groups} groups")
    }
    Ok(Moments(moments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn sample(batch: usize) -> (Tensor, Tensor, Tensor) {
        let wave = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin() + 0.3).collect::<Vec<_>>();
        let x = Tensor::from_vec(wave(batch * 4 * 30, 0.7), (batch, 4, 5, 6), &Device::Cpu).unwrap();
        let vector = |step: f32| Tensor::from_vec(wave(4, step), 4, &Device::Cpu).unwrap();
        (x, vector(1.1), vector(2.3))
    }

    fn difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn statistics_of_the_same_picture_change_nothing() {
        let (x, weight, bias) = sample(2);
        for silu in [false, true] {
            let way = GroupNormWay { groups: 2, eps: 1e-6, silu };
            let norm = || group_norm(&x, Normed { weight: &weight, bias: &bias, way }).unwrap();
            let expected = ops::group_norm(&x, &weight, &bias, way).unwrap();
            let (own, norms) = SharedNorms::recorded(norm);
            assert_eq!(difference(&own, &expected), 0.0);
            assert!(difference(&norms.given(norm), &expected) < 1e-5);
            assert_eq!(difference(&norm(), &expected), 0.0, "afterwards each norm has its own");
        }
    }

    #[test]
    fn a_part_is_normalised_as_it_is_within_the_whole() {
        let (x, weight, bias) = sample(1);
        let way = GroupNormWay { groups: 2, eps: 1e-6, silu: true };
        let norm = |x: &Tensor| group_norm(x, Normed { weight: &weight, bias: &bias, way }).unwrap();
        let (whole, norms) = SharedNorms::recorded(|| norm(&x));
        let part = norms.given(|| norm(&x.narrow(2, 1, 2).unwrap()));
        assert!(difference(&part, &whole.narrow(2, 1, 2).unwrap()) < 1e-5);
    }

    #[test]
    fn statistics_of_another_network_are_refused() {
        let (x, weight, bias) = sample(1);
        let way = |groups| GroupNormWay { groups, eps: 1e-6, silu: false };
        let norm = |groups| group_norm(&x, Normed { weight: &weight, bias: &bias, way: way(groups) });
        let (_, norms) = SharedNorms::recorded(|| norm(2));
        assert!(norms.given(|| norm(4)).is_err());
        assert!(norms.given(|| norm(2).and_then(|_| norm(2))).is_err());
    }
}
