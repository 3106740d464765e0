//! `torch.randn` on a CPU.

use atelier::sampling::TorchCpuRng;
use serde_json::Value;

use crate::support::{self, Group};

/// Torch takes logarithm, cosine and sine from a vector library in f32; ours are rounded once from f64. The radius is
/// at most 6, so this is a few units in the last place.
const TOLERANCE: f64 = 2e-6;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn draw(rng: &mut TorchCpuRng, shape: &Value) -> Vec<f32> {
    let size: f64 = numbers(shape).iter().product();
    let mut out = vec![0.0; size as usize];
    rng.randn(&mut out);
    out
}

#[test]
fn noise() {
    let file = support::read_json(&support::path_in_or_beside("noise.json"));
    support::group("noise", |group| {
        file["cases"].as_array().expect("cases").iter().for_each(|case| one_draw(group, case));
        file["two_draws"].as_array().expect("two_draws").iter().for_each(|case| two_draws(group, case));
    });
}

fn one_draw(group: &mut Group, case: &Value) {
    group.case();
    let what = format!("seed {} shape {}", case["seed"], case["shape"]);
    let values = draw(&mut TorchCpuRng::new(case["seed"].as_u64().expect("a seed")), &case["shape"]);
    let (first, last) = (numbers(&case["first"]), numbers(&case["last"]));
    group.within(&format!("{what}, first"), &values[..first.len().min(values.len())], &first, TOLERANCE);
    group.within(&format!("{what}, last"), &values[values.len().saturating_sub(last.len())..], &last, TOLERANCE);
    let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
    let want = case["sum"].as_f64().expect("a sum");
    // Rounding errors of single values partly cancel; a wrong value would show by about 1.
    group.error(&format!("{what}, sum"), (sum - want).abs(), TOLERANCE * values.len() as f64);
}

fn two_draws(group: &mut Group, case: &Value) {
    group.case();
    let what = format!("two draws, seed {} shape {}", case["seed"], case["shape"]);
    let mut rng = TorchCpuRng::new(case["seed"].as_u64().expect("a seed"));
    for key in ["first_draw", "second_draw"] {
        let (values, want) = (draw(&mut rng, &case["shape"]), numbers(&case[key]));
        group.within(&format!("{what}, {key}"), &values[..want.len().min(values.len())], &want, TOLERANCE);
    }
}
