//! How fast each kernel is on the shapes of the models, beside what the machine can do and beside candle:
//! `cargo bench --bench kernels -- [FILTER]`.
//!
//! Every line is one way to compute a case: wall time and processor time of a call (the least of several rounds, in which
//! the ways take turns), arithmetic a second of processor time, and its share of the peak that a core reaches in
//! registers. A kernel's cases are one function in [`TABLES`].

#[path = "kernels/attention.rs"]
mod attention;
#[path = "kernels/convolutions.rs"]
mod convolutions;
#[path = "kernels/measure.rs"]
mod measure;
#[path = "kernels/memory.rs"]
mod memory;
#[path = "kernels/products.rs"]
mod products;

use std::env;
use std::io::{self, Write};

use atelier::kernels::micro::micro;

use self::measure::{Case, measure};

/// Whoever adds a kernel adds its cases here.
const TABLES: [fn() -> Vec<Case>; 6] = [
    products::linear,
    products::pointwise,
    convolutions::convolutions,
    attention::attention,
    memory::norms,
    memory::layouts,
];

fn main() -> io::Result<()> {
    // Cargo says `--bench`; the first word that is no option is the filter.
    let filter = env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let mut out = io::stdout().lock();
    let peak = micro().peak();
    writeln!(out, "{:?}, {:.1} GFLOP/s a core, {} threads", micro(), peak / 1e9, rayon::current_num_threads())?;
    writeln!(out, "{:44}{:16}{:>10}{:>10}{:>10}{:>7}", "", "", "wall ms", "cpu ms", "GFLOP/s", "peak")?;
    for case in TABLES.iter().flat_map(|table| table()).filter(|case| case.name.contains(&filter)) {
        for (i, time) in measure(case.ways).into_iter().enumerate() {
            let name = if i == 0 { case.name.as_str() } else { "" };
            write!(out, "{name:44}{:16}{:10.3}{:10.3}", time.way, 1e3 * time.wall, 1e3 * time.processor)?;
            // Memory bounds what has next to no arithmetic; a copy beside it tells how fast that is.
            if case.flop > 0.0 {
                let speed = case.flop / time.processor;
                write!(out, "{:10.1}{:6.0}%", speed / 1e9, 1e2 * speed / peak)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}
