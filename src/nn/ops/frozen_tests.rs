//! Layers that are not trained: their inputs get the right gradients, and changes of low rank are what merged weights are.

use candle_core::{Tensor, Var};

use super::tests::{check, same, var, w};
use super::*;

fn fixed(shape: &[usize], salt: f32) -> Tensor {
    var(shape, salt).as_tensor().detach()
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn inputs_of_frozen_layers_get_their_gradients() {
    let (matrix, bias) = (w(&fixed(&[4, 5], 0.2)), fixed(&[4], 0.3));
    check("frozen linear", &[var(&[2, 3, 5], 0.1)], |t| linear(&t[0], &matrix, Some(&bias), None));
    check("frozen linear onto", &[var(&[2, 3, 5], 0.1), var(&[2, 3, 4], 0.4)], |t| {
        linear(&t[0], &matrix, Some(&bias), Some(&t[1]))
    });
    let rows = fixed(&[2, 3, 5], 0.1);
    check("frozen linear of a fixed input", &[var(&[2, 3, 4], 0.4)], |t| linear(&rows, &matrix, None, Some(&t[0])));
    let kernel = w(&fixed(&[4, 3, 3, 3], 0.2));
    check("frozen conv2d", &[var(&[2, 3, 5, 4], 0.1)], |t| conv2d(&t[0], &kernel, Some(&bias), None, same()));
    check("frozen conv2d onto", &[var(&[2, 3, 5, 4], 0.1), var(&[2, 4, 5, 4], 0.4)], |t| {
        conv2d(&t[0], &kernel, Some(&bias), Some(&t[1]), same())
    });
}

#[test]
fn a_frozen_norm_with_its_convolution_passes_gradients_on() {
    let (scale, offset) = (fixed(&[32], 0.3), fixed(&[32], 0.4));
    let (kernel, bias) = (w(&fixed(&[33, 32, 3, 3], 0.5)), fixed(&[33], 0.6));
    let way = GroupNormWay { groups: 4, eps: 1e-5, silu: true };
    let run = |x: &Tensor, shift: Option<&Tensor>, residual: Option<&Tensor>| {
        let norm = Normed { weight: &scale, bias: &offset, way };
        norm_conv2d(x, shift, norm, Convolved { weight: &kernel, bias: &bias, way: same() }, residual)
    };
    let (x, shift, residual) = (var(&[2, 32, 4, 3], 0.1), var(&[2, 32], 0.2), var(&[2, 33, 4, 3], 0.7));
    check("norm and conv2d", std::slice::from_ref(&x), |t| run(&t[0], None, None));
    check("shifted", &[x.clone(), shift.clone()], |t| run(&t[0], Some(&t[1]), None));
    check("onto", &[x.clone(), residual.clone()], |t| run(&t[0], None, Some(&t[1])));
    check("shifted onto", &[x.clone(), shift.clone(), residual.clone()], |t| run(&t[0], Some(&t[1]), Some(&t[2])));
    let (x, shift) = (x.as_tensor().detach(), shift.as_tensor().detach());
    check("a fixed shift", &[var(&[2, 32, 4, 3], 0.1)], |t| run(&t[0], Some(&shift), None));
    check("a fixed input", &[var(&[2, 32], 0.2)], |t| run(&x, Some(&t[0]), None));
}

#[test]
fn a_change_of_low_rank_has_the_right_gradients() {
    let (matrix, bias) = (w(&fixed(&[4, 5], 0.2)), fixed(&[4], 0.3));
    let vars = [var(&[2, 3, 5], 0.1), var(&[2, 5], 0.4), var(&[4, 2], 0.5), var(&[2, 3, 4], 0.6)];
    let change = |t: &[Tensor], residual: bool| {
        let change = Change { down: &t[1], up: &t[2], scale: 0.7 };
        low_rank_linear(&t[0], &matrix, Some(&bias), change, residual.then(|| &t[3]))
    };
    check("low rank", &vars[..3], |t| change(t, false));
    check("low rank onto", &vars, |t| change(t, true));
    let input = fixed(&[2, 3, 5], 0.1);
    check("low rank of a fixed input", &vars[1..3], |t| {
        low_rank_linear(&input, &matrix, None, Change { down: &t[0], up: &t[1], scale: 0.7 }, None)
    });
    let trained = [vars[0].clone(), vars[1].clone(), vars[2].clone(), var(&[4, 5], 0.2)];
    check("low rank beside a trained weight", &trained, |t| {
        low_rank_linear(&t[0], &w(&t[3]), None, Change { down: &t[1], up: &t[2], scale: 0.7 }, None)
    });
}

#[test]
fn a_change_of_low_rank_is_what_the_merged_weight_is() {
    let (matrix, bias, x) = (fixed(&[4, 5], 0.2), fixed(&[4], 0.3), fixed(&[2, 3, 5], 0.1));
    let (down, up) = (var(&[2, 5], 0.4), var(&[4, 2], 0.5));
    let change = Change { down: &down, up: &up, scale: 0.7 };
    let merged = (&matrix + (up.matmul(&down).unwrap() * 0.7).unwrap()).unwrap().detach();
    let expected = linear(&x, &w(&merged), Some(&bias), Some(&fixed(&[2, 3, 4], 0.6))).unwrap();
    let run = || low_rank_linear(&x, &w(&matrix), Some(&bias), change, Some(&fixed(&[2, 3, 4], 0.6))).unwrap();
    let tracked = run();
    assert!(tracked.track_op() && difference(&tracked.detach(), &expected) < 2e-6);
    let plain = without_gradients(run);
    assert!(!plain.track_op() && difference(&plain, &expected) < 2e-6);
    assert!(run().track_op(), "afterwards gradients are wanted again");
    let other = Change { down: &fixed(&[2, 4], 0.4), ..change };
    assert!(low_rank_linear(&x, &w(&matrix), None, other, None).is_err());
}

/// Convolutions with a change, through the layers that networks are built of.
#[test]
fn a_changed_convolution_is_what_the_merged_one_is() {
    use crate::nn::{GroupNorm, LowRank, Params};
    let values = |name: &str, count: usize| -> Vec<f32> {
        let salt = name.bytes().map(f32::from).sum::<f32>();
        (0..count).map(|i| ((i as f32 + salt) * 12.9898).sin() * 0.3).collect()
    };
    let (down, up) = (var(&[2, 32, 3, 3], 0.4), var(&[33, 2, 1, 1], 0.5));
    let low_rank = LowRank { down: down.as_tensor().clone(), up: up.as_tensor().clone(), scale: 0.5 };
    let merged = (up.flatten_from(1).unwrap().matmul(&down.flatten_from(1).unwrap()).unwrap() * 0.5).unwrap();
    let merged: Vec<f32> = merged.flatten_all().unwrap().to_vec1().unwrap();
    let build = |is_changed: bool| {
        let merged = merged.clone();
        let params = Params::fresh(move |name, count, _| {
            let mut own = values(name, count);
            if name == "conv.weight" && !is_changed {
                own.iter_mut().zip(&merged).for_each(|(own, change)| *own += change);
            }
            own
        });
        let params =
            if is_changed { params.with_low_rank([("conv".to_owned(), low_rank.clone())].into()) } else { params };
        let norm = GroupNorm::new(&params.pp("norm"), 4, 32, 1e-5);
        (norm, crate::nn::Conv2d::new(&params.pp("conv"), (32, 33), 3, 1, 1))
    };
    let ((norm, changed), (_, plain)) = (build(true), build(false));
    let (x, shift) = (fixed(&[1, 32, 6, 5], 0.1), fixed(&[1, 32], 0.2));
    let residual = fixed(&[1, 33, 6, 5], 0.3);
    let close = |a: Tensor, b: Tensor| assert!(difference(&a.detach(), &b.detach()) < 2e-5);
    close(changed.forward(&x).unwrap(), plain.forward(&x).unwrap());
    close(changed.forward_onto(&x, &residual).unwrap(), plain.forward_onto(&x, &residual).unwrap());
    close(changed.forward_enlarged(&x).unwrap(), plain.forward_enlarged(&x).unwrap());
    let behind = |conv: &crate::nn::Conv2d| norm.forward_silu_conv(&x, Some(&shift), conv, Some(&residual)).unwrap();
    close(behind(&changed), behind(&plain));
    let store = behind(&changed).sum_all().unwrap().backward().unwrap();
    let vars: [&Var; 2] = [&down, &up];
    assert!(vars.iter().all(|var| store.get(var).is_some()));
}
