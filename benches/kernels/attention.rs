//! Attention of Stable Diffusion 1.5 at 512 × 512 and of XL at 1024 × 1024, two pictures (a guided step), of the text
//! encoder, and of the VAE's middle.

use std::hint::black_box;

use atelier::kernels::attention::Attention;

use super::measure::{Case, Way, numbers};

/// The pictures' attention to themselves and to the prompt, the text's and the VAE's.
pub fn attention() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, heads, tokens, head_dim) in [
        ("SD", 8, 4096, 40),
        ("SD", 8, 1024, 80),
        ("SD", 8, 256, 160),
        ("SD", 8, 64, 160),
        ("SD XL", 10, 4096, 64),
        ("SD XL", 20, 1024, 64),
    ] {
        let shape = Attention { batch: 2, heads, queries: tokens, keys: tokens, head_dim, scale: 0.2, causal: false };
        cases.push(case(what, shape));
        cases.push(case(what, Attention { keys: 77, ..shape }));
    }
    let text = Attention { batch: 1, heads: 12, queries: 77, keys: 77, head_dim: 64, scale: 0.2, causal: true };
    cases.push(case("text", text));
    let vae = Attention { batch: 1, heads: 1, queries: 4096, keys: 4096, head_dim: 512, scale: 0.05, causal: false };
    cases.push(case("VAE", vae));
    cases
}

fn case(what: &str, shape: Attention) -> Case {
    let Attention { batch, heads, queries, keys, head_dim, causal, .. } = shape;
    let ways = move || {
        let (of_queries, of_keys) = (batch * queries * heads * head_dim, batch * keys * heads * head_dim);
        let (q, k, v) = (numbers(1, of_queries), numbers(2, of_keys), numbers(3, of_keys));
        let mut out = vec![0.0; of_queries];
        vec![Way::new("forward", move || shape.forward(&q, &k, &v, black_box(&mut out)))]
    };
    // Half of the keys are hidden where the first query sees one and the last all of them.
    let seen = if causal { 0.5 * (keys + 1) as f64 } else { keys as f64 };
    Case {
        name: format!("attention: {what}, {heads} × {head_dim}, {queries} to {keys}"),
        flop: 4.0 * (batch * heads * queries * head_dim) as f64 * seen,
        ways: Box::new(ways),
    }
}
