//! Every operation of the seam has a gradient, and it is the right one: compared with finite differences.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::*;

/// Deterministic values between −1 and 1 that are no regular pattern.
fn values(count: usize, salt: f32) -> Vec<f32> {
    (0..count).map(|i| ((i as f32 + salt) * 12.9898).sin()).collect()
}

/// A tensor as a weight.
pub(super) fn w(tensor: &Tensor) -> Weight {
    tensor.into()
}

pub(super) fn var(shape: &[usize], salt: f32) -> Var {
    let tensor = Tensor::from_vec(values(shape.iter().product(), salt), shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor).unwrap()
}

/// Checks the gradient of `sum(w · f(inputs))` in each of `inputs` along a random direction, by a central difference.
pub(super) fn check(name: &str, inputs: &[Var], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let tensors: Vec<Tensor> = inputs.iter().map(|input| input.as_tensor().clone()).collect();
    let out = f(&tensors).unwrap();
    let weights = Tensor::from_vec(values(out.elem_count(), 0.7), out.shape(), &Device::Cpu).unwrap();
    let loss = |tensors: &[Tensor]| -> f64 {
        let products: Vec<f32> = (f(tensors).unwrap() * &weights).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        products.into_iter().map(f64::from).sum()
    };
    let grads = (&out * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    for (i, input) in inputs.iter().enumerate() {
        let grad = grads.get(input.as_tensor()).unwrap_or_else(|| panic!("{name}: input {i} has no gradient"));
        let direction =
            Tensor::from_vec(values(input.elem_count(), 3.3 + i as f32), input.shape(), &Device::Cpu).unwrap();
        let along = (grad * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        let step = 2e-3;
        let moved = |sign: f64| {
            let mut moved: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
            moved[i] = (&moved[i] + (&direction * (sign * step)).unwrap()).unwrap();
            loss(&moved)
        };
        let difference = ((moved(1.0) - moved(-1.0)) / (2.0 * step)) as f32;
        let tolerance = 2e-2 * along.abs().max(0.5);
        assert!((along - difference).abs() < tolerance, "{name}, input {i}: {along} against {difference}");
    }
}

/// A 3×3 convolution that keeps the size.
pub(super) fn same() -> ConvWay {
    ConvWay { stride: 1, padding: Padding::all(1), enlarged: false }
}

/// The same of the enlarged picture.
fn larger() -> ConvWay {
    ConvWay { enlarged: true, ..same() }
}

/// Where nobody asks for gradients, operations are fused: with the same result.
#[test]
fn fused_operations_equal_the_tracked_ones() {
    let [image, weight, bias] = [var(&[2, 3, 5, 4], 0.1), var(&[4, 3, 3, 3], 0.2), var(&[4], 0.3)];
    let compare = |name: &str, vars: &[Var], f: &dyn Fn(&[Tensor]) -> Result<Tensor>| {
        let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let plain: Vec<Tensor> = tracked.iter().map(Tensor::detach).collect();
        let (tracked, plain) = (f(&tracked).unwrap(), f(&plain).unwrap());
        assert!(tracked.track_op() && !plain.track_op());
        let difference = (tracked.detach() - plain).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 2e-6, "{name}");
    };
    for (way, residual) in [(same(), var(&[2, 4, 5, 4], 0.4)), (larger(), var(&[2, 4, 10, 8], 0.4))] {
        compare("conv2d", &[image.clone(), weight.clone(), bias.clone(), residual], &|t| {
            conv2d(&t[0], &w(&t[1]), Some(&t[2]), Some(&t[3]), way)
        });
    }
    let vars = [var(&[2, 3, 5], 0.1), var(&[4, 5], 0.2), var(&[4], 0.3), var(&[2, 3, 4], 0.4)];
    compare("linear", &vars, &|t| linear(&t[0], &w(&t[1]), Some(&t[2]), Some(&t[3])));
    compare("linear_geglu", &vars[..3], &|t| linear_geglu(&t[0], &w(&t[1]), Some(&t[2])));
    let map = [var(&[2, 5, 3, 7], 0.1), var(&[4, 5], 0.2), var(&[4], 0.3), var(&[2, 4, 3, 7], 0.4)];
    compare("to tokens", &map[..3], &|t| map_to_tokens_linear(&t[0], &w(&t[1]), Some(&t[2])));
    let tokens = [var(&[2, 21, 5], 0.1), map[1].clone(), map[2].clone(), map[3].clone()];
    compare("to a map", &tokens, &|t| tokens_to_map_linear(&t[0], &w(&t[1]), Some(&t[2]), &t[3]));
}

#[test]
fn weights_of_half_precision_give_what_their_numbers_give() {
    for dtype in [DType::F16, DType::BF16] {
        let half = |shape: &[usize]| var(shape, 0.2).as_tensor().detach().to_dtype(dtype).unwrap();
        let (matrix, kernel) = (half(&[4, 5]), half(&[4, 3, 3, 3]));
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
        let (x, image) = (var(&[6, 5], 0.1).as_tensor().detach(), var(&[2, 3, 9, 9], 0.1).as_tensor().detach());
        for (narrow, wide) in [
            (linear(&x, &w(&matrix), None, None), linear(&x, &w(&wide(&matrix)), None, None)),
            (conv2d(&image, &w(&kernel), None, None, same()), conv2d(&image, &w(&wide(&kernel)), None, None, same())),
        ] {
            let difference = (narrow.unwrap() - wide.unwrap()).unwrap().abs().unwrap().max_all().unwrap();
            assert_eq!(difference.to_scalar::<f32>().unwrap(), 0.0, "{dtype:?}");
        }
    }
}

/// The same numbers as a tensor, and where they lie in a file.
fn both(shape: &[usize], dtype: DType) -> [Weight; 2] {
    let tensor = var(shape, 0.2).as_tensor().detach().to_dtype(dtype).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weight.safetensors");
    candle_core::safetensors::save(&[("w", tensor.clone())].into(), &path).unwrap();
    let stored = crate::weights::TensorFile::open(&path).unwrap().in_place("w").unwrap();
    [w(&tensor), Weight::Stored(stored, shape.into())]
}

#[test]
fn weights_in_a_file_give_what_tensors_give_and_pass_gradients_on() {
    // Equal but for when the bias is added.
    let equal = |what: &str, [a, b]: [Tensor; 2]| {
        let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest(&(&a - &b).unwrap()) < 2e-6 * largest(&a).max(1.0), "{what}");
    };
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let bias = var(&[4], 0.3);
        let (rows, image) = (var(&[6, 5], 0.1), var(&[2, 3, 9, 9], 0.1));
        let (matrix, kernel) = (both(&[4, 5], dtype), both(&[4, 3, 3, 3], dtype));
        let linears = |x: &Tensor| matrix.each_ref().map(|weight| linear(x, weight, Some(&bias), None).unwrap());
        let convs = |x: &Tensor| kernel.each_ref().map(|weight| conv2d(x, weight, Some(&bias), None, same()).unwrap());
        for (what, x, run) in [
            ("linear", &rows, &linears as &dyn Fn(&Tensor) -> [Tensor; 2]),
            ("conv2d", &image, &convs as &dyn Fn(&Tensor) -> [Tensor; 2]),
        ] {
            equal(what, run(&x.as_tensor().detach()));
            let tracked = run(x);
            equal(what, tracked.clone());
            equal(
                what,
                tracked.map(|out| out.sqr().unwrap().sum_all().unwrap().backward().unwrap().remove(x).unwrap()),
            );
        }
        let ids = Tensor::new(&[3u32, 0, 3], &Device::Cpu).unwrap();
        equal("rows", matrix.each_ref().map(|weight| weight.rows(&ids).unwrap()));
        let beyond = Tensor::new(&[4u32], &Device::Cpu).unwrap();
        assert!(matrix.iter().all(|weight| weight.rows(&beyond).is_err()));
        let flat = matrix.each_ref().map(|weight| weight.reshaped((5, 4)).unwrap());
        equal("reshaped", flat.map(|weight| weight.rows(&ids).unwrap()));
        assert!(matrix.iter().all(|weight| weight.reshaped((5, 5)).is_err()));
        matrix.iter().for_each(Weight::release);
        equal("released", matrix.each_ref().map(|weight| weight.rows(&ids).unwrap()));
    }
}

#[test]
fn every_operation_has_the_right_gradient() {
    let [image, weight, bias] = [var(&[2, 3, 5, 4], 0.1), var(&[4, 3, 3, 3], 0.2), var(&[4], 0.3)];
    for way in
        [same(), larger(), ConvWay { stride: 2, padding: Padding { top: 0, left: 0, ..Padding::all(1) }, ..same() }]
    {
        check("conv2d", &[image.clone(), weight.clone(), bias.clone()], |t| {
            conv2d(&t[0], &w(&t[1]), Some(&t[2]), None, way)
        });
        check("conv2d without bias", &[image.clone(), weight.clone()], |t| conv2d(&t[0], &w(&t[1]), None, None, way));
    }
    check("conv2d onto", &[image.clone(), weight.clone(), bias.clone(), var(&[2, 4, 5, 4], 0.4)], |t| {
        conv2d(&t[0], &w(&t[1]), Some(&t[2]), Some(&t[3]), same())
    });
    let [rows, matrix, shift] = [var(&[2, 3, 5], 0.1), var(&[4, 5], 0.2), var(&[4], 0.3)];
    check("linear", &[rows.clone(), matrix.clone(), shift.clone()], |t| linear(&t[0], &w(&t[1]), Some(&t[2]), None));
    check("linear without bias", &[rows.clone(), matrix.clone()], |t| linear(&t[0], &w(&t[1]), None, None));
    check("linear onto", &[rows, matrix, shift, var(&[2, 3, 4], 0.4)], |t| {
        linear(&t[0], &w(&t[1]), Some(&t[2]), Some(&t[3]))
    });
    check("linear_geglu", &[var(&[2, 3, 5], 0.1), var(&[6, 5], 0.2), var(&[6], 0.3)], |t| {
        linear_geglu(&t[0], &w(&t[1]), Some(&t[2]))
    });
    let [map, tokens, weight] = [var(&[2, 4, 3, 2], 0.1), var(&[2, 6, 5], 0.2), var(&[4, 5], 0.3)];
    check("to tokens", &[map.clone(), var(&[5, 4], 0.2)], |t| map_to_tokens_linear(&t[0], &w(&t[1]), None));
    check("to a map", &[tokens, weight, map], |t| tokens_to_map_linear(&t[0], &w(&t[1]), None, &t[2]));
    for silu in [false, true] {
        check("group_norm", &[var(&[2, 6, 3, 2], 0.1), var(&[6], 0.2), var(&[6], 0.3)], |t| {
            group_norm(&t[0], &t[1], &t[2], GroupNormWay { groups: 3, eps: 1e-5, silu })
        });
    }
    check("layer_norm", &[var(&[2, 3, 6], 0.1), var(&[6], 0.2), var(&[6], 0.3)], |t| {
        layer_norm(&t[0], &t[1], &t[2], 1e-5)
    });
    for causal in [false, true] {
        check("attention", &[var(&[2, 5, 6], 0.1), var(&[2, 5, 6], 0.2), var(&[2, 5, 6], 0.3)], |t| {
            attention(&t[0], &t[1], &t[2], 2, causal)
        });
    }
    check("cross-attention", &[var(&[2, 5, 6], 0.1), var(&[2, 3, 6], 0.2), var(&[2, 3, 6], 0.3)], |t| {
        attention(&t[0], &t[1], &t[2], 3, false)
    });
    check("add_channels", &[var(&[2, 3, 4, 5], 0.1), var(&[2, 3], 0.2)], |t| add_channels(&t[0], &t[1]));
    check("to_tokens", &[var(&[2, 3, 4, 5], 0.1)], |t| to_tokens(&t[0]));
    check("from_tokens", &[var(&[2, 20, 3], 0.1)], |t| from_tokens(&t[0], 4, 5));
    check("silu", &[var(&[3, 5], 0.1)], |t| silu(&t[0]));
    check("gelu", &[var(&[3, 5], 0.1)], |t| gelu(&t[0]));
    check("quick_gelu", &[var(&[3, 5], 0.1)], |t| quick_gelu(&t[0]));
    check("geglu", &[var(&[3, 6], 0.1)], |t| geglu(&t[0]));
    check("upsample_nearest", &[var(&[1, 2, 3, 2], 0.1)], |t| upsample_nearest(&t[0], 6, 5));
}

#[test]
fn layouts_equal_candles_own() {
    let [a, shift] = [var(&[2, 3, 4, 5], 0.1), var(&[2, 3], 0.3)];
    let same = |ours: Tensor, theirs: Tensor| {
        assert_eq!(ours.dims(), theirs.dims());
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(ours), values(theirs));
    };
    let tokens = to_tokens(&a).unwrap();
    same(tokens.clone(), a.flatten_from(2).unwrap().transpose(1, 2).unwrap());
    same(from_tokens(&tokens, 4, 5).unwrap(), a.as_tensor().clone());
    let wide = shift.unsqueeze(2).unwrap().unsqueeze(3).unwrap();
    same(add_channels(&a, &shift).unwrap(), a.broadcast_add(&wide).unwrap());
}

/// The fused operation, which runs where nobody asks for gradients, against the three that have one.
#[test]
fn a_norm_within_a_convolution_equals_one_before_it() {
    let parts = [
        var(&[2, 32, 5, 6], 0.1), // x
        var(&[2, 32], 0.2),       // shift
        var(&[32], 0.3),          // norm
        var(&[32], 0.4),
        var(&[33, 32, 3, 3], 0.5), // convolution
        var(&[33], 0.6),
        var(&[2, 33, 5, 6], 0.7), // residual
    ];
    let fused: Vec<Tensor> = parts.iter().map(|part| part.as_tensor().detach()).collect();
    let tracked: Vec<Tensor> = parts.iter().map(|part| part.as_tensor().clone()).collect();
    let run = |t: &[Tensor], shifted: bool, added: bool| {
        let norm = Normed { weight: &t[2], bias: &t[3], way: GroupNormWay { groups: 4, eps: 1e-5, silu: true } };
        let padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };
        let way = ConvWay { stride: 1, padding, enlarged: false };
        let conv = Convolved { weight: &w(&t[4]), bias: &t[5], way };
        norm_conv2d(&t[0], shifted.then_some(&t[1]), norm, conv, added.then_some(&t[6])).unwrap()
    };
    for (shifted, added) in [(false, false), (false, true), (true, false), (true, true)] {
        let difference = (run(&fused, shifted, added) - run(&tracked, shifted, added)).unwrap().abs().unwrap();
        let largest = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest < 2e-5, "{shifted} {added}: {largest}");
    }
}

#[test]
fn frozen_weights_get_no_gradient() {
    let x = var(&[2, 3], 0.1);
    let weight = var(&[4, 3], 0.2).as_tensor().detach();
    let grads = linear(x.as_tensor(), &w(&weight), None, None).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(x.as_tensor()).is_some() && grads.get(&weight).is_none());
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let t = |shape: &[usize]| var(shape, 0.0).as_tensor().clone();
    assert!(linear(&t(&[2, 3]), &w(&t(&[4, 5])), None, None).is_err());
    assert!(linear(&t(&[2, 3]), &w(&t(&[4, 3])), None, Some(&t(&[2, 3]))).is_err());
    let bare = ConvWay { padding: Padding::default(), ..same() };
    assert!(conv2d(&t(&[1, 3, 4, 4]), &w(&t(&[4, 2, 3, 3])), None, None, bare).is_err());
    assert!(conv2d(&t(&[1, 3, 1, 1]), &w(&t(&[4, 3, 3, 3])), None, None, bare).is_err());
    assert!(conv2d(&t(&[1, 3, 4, 4]), &w(&t(&[4, 3, 3, 3])), None, Some(&t(&[1, 4, 4, 4])), bare).is_err());
    let way = GroupNormWay { groups: 4, eps: 1e-5, silu: false };
    assert!(group_norm(&t(&[1, 6, 2]), &t(&[6]), &t(&[6]), way).is_err());
    assert!(layer_norm(&t(&[1, 6]), &t(&[5]), &t(&[5]), 1e-5).is_err());
    assert!(attention(&t(&[1, 2, 6]), &t(&[1, 2, 6]), &t(&[1, 2, 6]), 4, false).is_err());
    assert!(geglu(&t(&[2, 3])).is_err());
    assert!(add_channels(&t(&[2, 3, 4]), &t(&[2, 4])).is_err());
    assert!(from_tokens(&t(&[1, 6, 2]), 2, 2).is_err());
}
