//! [`merge`]: adapters added to one weight, on plain slices.
//!
//! Products are summed in f32 in the order of the rank, without fused operations, so that every machine gets the same
//! bits; the largest error against f64 is `(rank + 2) · ε` of the terms' sizes (tested). Tiles of 4 × 8 stay in registers
//! on every x86-64 and aarch64. Modules are independent of each other, so that a caller can merge many at once.

use std::cmp::Ordering;

use super::adapter::{Factors, Pair};
use crate::domain::{Result, UserError};

/// Rows of a tile.
const ROWS: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = 8;
/// Columns that are worked on for all rows before the next: with rank 32 their factors are 32 KiB.
const CHUNK: usize = 32 * COLUMNS;

type Tile = [[f32; COLUMNS]; ROWS];
/// Left and right factor of a product.
type Half = (Vec<f32>, Vec<f32>);

/// Reads a tensor's values as f32, row-major.
pub type Read<'a> = dyn Fn(&str) -> Result<Vec<f32>> + 'a;

/// One adapter's change of one weight, with its weight in the mix.
#[derive(Clone, Copy)]
pub struct Contribution<'a> {
    /// What tells the adapter from the others, such as the file's hash. It orders the sums.
    pub adapter: &'a str,
    /// The change.
    pub pair: &'a Pair,
    /// The user's weight: 0 leaves the model as it is, 1 applies the adapter as trained.
    pub strength: f64,
    /// Reads the adapter's tensors.
    pub read: &'a Read<'a>,
}

/// Adds several adapters to a weight (its values row-major). The result does not depend on their order here, as long as
/// different adapters have different names.
///
/// # Errors
/// When a tensor cannot be read, has another length than its shape said, or is not finite; the weight may have been
/// changed by then.
pub fn merge(weight: &mut [f32], contributions: &[Contribution<'_>]) -> Result<()> {
    let mut ordered: Vec<&Contribution<'_>> = contributions.iter().collect();
    ordered.sort_by(|a, b| by_name_and_strength(a, b));
    ordered.iter().try_for_each(|one| add_pair(weight, one.pair, one.strength, one.read))
}

/// The same adapter twice with the same strength adds the same numbers, in whichever order.
fn by_name_and_strength(a: &Contribution<'_>, b: &Contribution<'_>) -> Ordering {
    a.adapter.cmp(b.adapter).then(a.strength.total_cmp(&b.strength))
}

/// Adds `strength · scale · Δ` to a weight, where Δ is what the pair's tensors make up.
///
/// # Errors
/// When a tensor cannot be read, has another length than its shape said, or is not finite; the weight is then as before.
pub fn add_pair(weight: &mut [f32], pair: &Pair, strength: f64, read: &Read<'_>) -> Result<()> {
    let (rows, columns) = pair.dims();
    if weight.len() != rows * columns {
        let sentence =
            format!("The weight of {} has {} values instead of {rows} × {columns}", pair.module, weight.len());
        return Err(UserError::failed(sentence));
    }
    let rank = pair.rank;
    let area: usize = pair.shape[2..].iter().product();
    let inputs = pair.shape[1];
    let load = |name: &str, length: usize| load(read, name, length);
    let factor = (strength * pair.scale) as f32;
    match &pair.factors {
        Factors::Lora { down, up, mid: None } => {
            let (down, up) = (load(down, rank * columns)?, load(up, rows * rank)?);
            add_product(weight, &up, &down, rank, factor);
        }
        Factors::Lora { down, up, mid: Some(mid) } => {
            let (down, up) = (load(down, rank * inputs)?, load(up, rows * rank)?);
            let core = load(mid, rank * rank * area)?;
            add_product(weight, &up, &through_core(&core, &down, rank, inputs, area), rank, factor);
        }
        Factors::Loha { w1, w2, cores: None } => {
            let half =
                |(a, b): &(String, String)| -> Result<Half> { Ok((load(a, rows * rank)?, load(b, rank * columns)?)) };
            let (one, two) = (half(w1)?, half(w2)?);
            add_hadamard(weight, (&one.0, &one.1), (&two.0, &two.1), rank, factor);
        }
        Factors::Loha { w1, w2, cores: Some((t1, t2)) } => {
            let half = |(a, b): &(String, String), core: &str| -> Result<Half> {
                let (outer, inner, core) =
                    (load(a, rank * rows)?, load(b, rank * inputs)?, load(core, rank * rank * area)?);
                Ok((transposed(&outer, rank, rows), through_core(&core, &inner, rank, inputs, area)))
            };
            let (one, two) = (half(w1, t1)?, half(w2, t2)?);
            add_hadamard(weight, (&one.0, &one.1), (&two.0, &two.1), rank, factor);
        }
    }
    Ok(())
}

/// A tensor of the expected length, all finite.
fn load(read: &Read<'_>, name: &str, length: usize) -> Result<Vec<f32>> {
    let values = read(name)?;
    if values.len() != length {
        let sentence = format!("The LoRA's tensor {name} has {} values instead of {length}", values.len());
        return Err(UserError::input(sentence).hint("the file has changed; open it again"));
    }
    // A sum is not finite as soon as one value is not (and f64 holds any sum of f32 values).
    if !values.iter().map(|value| f64::from(*value)).sum::<f64>().is_finite() {
        return Err(UserError::input(format!("The LoRA's tensor {name} is not finite (NaN or infinity)"))
            .hint("the file is damaged, or its training went wrong"));
    }
    Ok(values)
}

/// `weight[m, n] += factor · Σ_r up[m, r] · down[r, n]`.
fn add_product(weight: &mut [f32], up: &[f32], down: &[f32], rank: usize, factor: f32) {
    let columns = down.len() / rank;
    let panels = panels(down, rank, columns);
    for_tiles(weight, columns, factor, |rows, panel| {
        product(rows.map(|row| row_of(up, row, rank)), panel_of(&panels, panel, rank))
    });
}

/// `weight[m, n] += factor · (up · down)[m, n] · (up' · down')[m, n]`.
fn add_hadamard(weight: &mut [f32], one: (&[f32], &[f32]), two: (&[f32], &[f32]), rank: usize, factor: f32) {
    let columns = one.1.len() / rank;
    let (panels_1, panels_2) = (panels(one.1, rank, columns), panels(two.1, rank, columns));
    for_tiles(weight, columns, factor, |rows, panel| {
        let mut tile = product(rows.map(|row| row_of(one.0, row, rank)), panel_of(&panels_1, panel, rank));
        let other = product(rows.map(|row| row_of(two.0, row, rank)), panel_of(&panels_2, panel, rank));
        for (values, others) in tile.iter_mut().zip(&other) {
            for (value, other) in values.iter_mut().zip(others) {
                *value *= other;
            }
        }
        tile
    });
}

fn row_of(up: &[f32], row: usize, rank: usize) -> &[f32] {
    &up[row * rank..][..rank]
}

fn panel_of(panels: &[f32], panel: usize, rank: usize) -> &[f32] {
    &panels[panel * rank * COLUMNS..][..rank * COLUMNS]
}

/// `[rank, columns]` as panels of [`COLUMNS`] columns, each `[rank, COLUMNS]`; the last is filled up with zeros.
fn panels(down: &[f32], rank: usize, columns: usize) -> Vec<f32> {
    let mut panels = vec![0.0; columns.div_ceil(COLUMNS) * COLUMNS * rank];
    for (r, row) in down.chunks_exact(columns).enumerate() {
        for (panel, values) in row.chunks(COLUMNS).enumerate() {
            panels[(panel * rank + r) * COLUMNS..][..values.len()].copy_from_slice(values);
        }
    }
    panels
}

/// One tile of a product: four rows of the left factor, one panel of the right.
fn product(rows: [&[f32]; ROWS], panel: &[f32]) -> Tile {
    let mut tile = [[0.0f32; COLUMNS]; ROWS];
    for (r, values) in panel.as_chunks::<COLUMNS>().0.iter().enumerate() {
        for (sums, row) in tile.iter_mut().zip(rows) {
            let left = row[r];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += left * value;
            }
        }
    }
    tile
}

/// `weight += factor · tile` for all tiles; `tile` is given its rows and the number of its panel.
fn for_tiles(weight: &mut [f32], columns: usize, factor: f32, tile: impl Fn([usize; ROWS], usize) -> Tile) {
    let rows = weight.len() / columns;
    for chunk in (0..columns).step_by(CHUNK) {
        let end = (chunk + CHUNK).min(columns);
        for first in (0..rows).step_by(ROWS) {
            let last = (first + ROWS).min(rows);
            for start in (chunk..end).step_by(COLUMNS) {
                let width = COLUMNS.min(end - start);
                // Rows below the last stand for the last, and are not written.
                let tile = tile(std::array::from_fn(|i| (first + i).min(rows - 1)), start / COLUMNS);
                for (row, sums) in (first..last).zip(&tile) {
                    for (value, sum) in weight[row * columns + start..][..width].iter_mut().zip(sums) {
                        *value += factor * sum;
                    }
                }
            }
        }
    }
}

/// `out[i, s, k] = Σ_j core[i, j, k] · inner[j, s]`: the inner factor and the core as one `[rank, inputs, area]`.
fn through_core(core: &[f32], inner: &[f32], rank: usize, inputs: usize, area: usize) -> Vec<f32> {
    let mut out = vec![0.0; rank * inputs * area];
    for (core, out) in core.chunks_exact(rank * area).zip(out.chunks_exact_mut(inputs * area)) {
        for (kernel, inner) in core.chunks_exact(area).zip(inner.chunks_exact(inputs)) {
            for (value, out) in inner.iter().zip(out.chunks_exact_mut(area)) {
                for (out, weight) in out.iter_mut().zip(kernel) {
                    *out += weight * value;
                }
            }
        }
    }
    out
}

/// `[rows, columns]` to `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::adapter::{Alpha, AlphaSource};
    use super::super::modules::Component;
    use super::*;

    fn pair(shape: &[usize], rank: usize, factors: Factors) -> Pair {
        let alpha = Alpha { value: rank as f64, source: AlphaSource::Rank };
        Pair {
            component: Component::UNet,
            module: "m".to_owned(),
            shape: shape.to_vec(),
            factors,
            rank,
            alpha,
            scale: 1.0,
        }
    }

    fn lora(shape: &[usize], rank: usize) -> Pair {
        pair(shape, rank, Factors::Lora { down: "down".to_owned(), up: "up".to_owned(), mid: None })
    }

    /// The numbers of the Python that made the expectations: `((7 i + seed) 5 mod 11 - 5) / 4`.
    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|i| (((i * 7 + seed) * 5 % 11) as f32 - 5.0) / 4.0).collect()
    }

    fn delta(pair: &Pair, tensors: &[(&str, Vec<f32>)]) -> Vec<f32> {
        let tensors: BTreeMap<&str, Vec<f32>> = tensors.iter().cloned().collect();
        let mut weight = vec![0.0; pair.shape.iter().product()];
        add_pair(&mut weight, pair, 1.0, &|name| Ok(tensors[name].clone())).unwrap();
        weight
    }

    #[test]
    fn a_core_and_hadamard_products_are_as_torch_and_peft_compute_them() {
        let own = str::to_owned;
        let shape = [3, 2, 2, 1];
        // conv2d(conv2d(conv2d(x, down), mid), up) in torch 2.15, as one kernel (equal to 1e-12 on a random x).
        let with_mid = pair(&shape, 2, Factors::Lora { down: own("down"), up: own("up"), mid: Some(own("mid")) });
        let tensors = [("down", numbers(1, 4)), ("mid", numbers(2, 8)), ("up", numbers(3, 6))];
        assert_eq!(
            delta(&with_mid, &tensors),
            [
                -0.1875, -0.1875, 0.140_625, 0.484_375, -1.9375, -0.9375, 3.203_125, 1.421_875, 1.125, 0.375, -2.15625,
                -0.21875
            ]
        );
        // peft 0.21.2, tuners/loha/layer.py, make_weight.
        let (w1, w2) = ((own("1a"), own("1b")), (own("2a"), own("2b")));
        let loha = pair(&shape, 2, Factors::Loha { w1: w1.clone(), w2: w2.clone(), cores: None });
        let tensors = [("1a", numbers(1, 6)), ("1b", numbers(2, 8)), ("2a", numbers(3, 6)), ("2b", numbers(4, 8))];
        assert_eq!(
            delta(&loha, &tensors),
            [
                -0.046_875,
                0.25,
                -0.3125,
                0.070_312_5,
                0.664_062_5,
                0.0,
                1.0625,
                -1.347_656_3,
                1.195_312_5,
                0.4375,
                0.085_937_5,
                0.140_625
            ]
        );
        // The same file, make_weight_cp.
        let cores = pair(&shape, 2, Factors::Loha { w1, w2, cores: Some((own("t1"), own("t2"))) });
        let tensors = [
            ("t1", numbers(5, 8)),
            ("1a", numbers(1, 6)),
            ("1b", numbers(2, 4)),
            ("t2", numbers(6, 8)),
            ("2a", numbers(3, 6)),
            ("2b", numbers(4, 4)),
        ];
        assert_eq!(
            delta(&cores, &tensors),
            [
                -2.358_398_4,
                1.846_923_8,
                0.219_726_56,
                0.029_296_875,
                0.720_703_1,
                -0.563_964_84,
                -0.053_710_938,
                0.026_367_188,
                -0.773_437_5,
                -0.117_187_5,
                -0.073_242_19,
                0.172_851_56
            ]
        );
    }

    #[test]
    fn broken_tensors_leave_the_weight_as_it_was() {
        let pair = lora(&[2, 3], 1);
        for (down, expected) in
            [(vec![1.0, 2.0], "has 2 values instead of 3"), (vec![1.0, f32::NAN, 1.0], "not finite")]
        {
            let mut weight = vec![1.0; 6];
            let read = |name: &str| Ok(if name == "down" { down.clone() } else { vec![1.0, 1.0] });
            let error = add_pair(&mut weight, &pair, 1.0, &read).unwrap_err();
            assert!(error.sentence.contains(expected), "{error}");
            assert_eq!(weight, [1.0; 6]);
        }
        assert!(add_pair(&mut [0.0; 5], &pair, 1.0, &|_| Ok(vec![1.0; 3])).is_err(), "another weight's length");
    }

    fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-2.0f32..2.0, count)
    }

    fn case() -> impl Strategy<Value = (usize, usize, usize, Vec<f32>, Vec<f32>, Vec<f32>)> {
        (1usize..11, prop_oneof![1usize..40, 250usize..270], 1usize..9).prop_flat_map(|(rows, columns, rank)| {
            let parts = (values(rows * columns), values(rank * columns), values(rows * rank));
            parts.prop_map(move |(weight, down, up)| (rows, columns, rank, weight, down, up))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_product_is_that_of_f64((rows, columns, rank, weight, down, up) in case(), strength in -2.0f64..2.0) {
            let pair = lora(&[rows, columns], rank);
            let mut merged = weight.clone();
            let read = |name: &str| Ok(if name == "down" { down.clone() } else { up.clone() });
            add_pair(&mut merged, &pair, strength, &read).unwrap();
            for (i, value) in merged.iter().enumerate() {
                let terms = (0..rank).map(|r| f64::from(up[i / columns * rank + r]) * f64::from(down[r * columns + i % columns]));
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                let expected = f64::from(weight[i]) + strength * sum;
                // Each product, each sum, the factor and the last sum round once.
                let bound = f64::from(f32::EPSILON) * ((rank + 2) as f64 * size * strength.abs() + expected.abs());
                prop_assert!((f64::from(*value) - expected).abs() <= bound, "{value} is not {expected}");
            }
        }

        #[test]
        fn the_order_of_loading_changes_no_bit((rows, columns, rank, weight, down, up) in case(), order in Just([0, 1, 2]).prop_shuffle()) {
            let pair = lora(&[rows, columns], rank);
            let read = |name: &str| Ok(if name == "down" { down.clone() } else { up.clone() });
            let other = |name: &str| Ok(if name == "down" { down.iter().rev().copied().collect() } else { up.clone() });
            let all = [
                Contribution { adapter: "a", pair: &pair, strength: 0.3, read: &read },
                Contribution { adapter: "a", pair: &pair, strength: 0.7, read: &read },
                Contribution { adapter: "b", pair: &pair, strength: 0.3, read: &other },
            ];
            let (mut one, mut two) = (weight.clone(), weight);
            merge(&mut one, &all).unwrap();
            merge(&mut two, &order.map(|i| all[i])).unwrap();
            prop_assert_eq!(one, two);
        }
    }
}
