//! The operations of graphics cards, run on the processor through the same entry points: in f32, in f16 and bf16, and with
//! weights that stay in their file. Everything of `models.rs` runs by them too where `ATELIER_DEVICE` is `cpu:portable`, and
//! on a card where it names one.

use atelier::domain::{ComputeType, DeviceChoice, Precision};
use atelier::models::{Model, Part, Placement};
use atelier::nn::Backend;

use crate::models::{cases, load_on, run_unet, tensor, values};
use crate::support::{self, Group, Tensors, max_abs, read_json};

/// Greatest error as a share of the greatest value of a result. In f32 the order of sums alone differs. A number of f16 has
/// eleven significant bits, of bf16 eight: each rounding errs by at most 2⁻¹² or 2⁻⁹ of it, and some hundred of them stand
/// one behind the other in these networks (their weights are rounded too); residual paths add them like a random walk,
/// ten times one of them, and the networks themselves amplify.
fn tolerance(numbers: ComputeType) -> f64 {
    match numbers {
        ComputeType::F32 => 1e-4,
        ComputeType::F16 => 1e-2,
        ComputeType::Bf16 => 8e-2,
    }
}

fn portable() -> Placement {
    Placement::on(Backend::open(DeviceChoice::Portable), Precision::Exact)
}

fn in_numbers(numbers: ComputeType) -> Placement {
    Part::ALL.into_iter().fold(portable(), |placement, part| placement.in_numbers(part, numbers))
}

/// Compares all parts of the reference's models with it.
fn compare(group: &mut Group, placement: &Placement, what: &str, numbers: ComputeType) {
    // The small model of the repository is enough, and the two encoders of the largest where they are.
    for name in ["sd1", "sdxl"] {
        if !support::folder().join("goldens").join(name).is_dir() {
            continue;
        }
        let model = load_on(placement.clone(), name).expect("a model");
        assert_eq!(model.unet.place().compute(), numbers);
        let mut close = |case: &str, got: &[f32], want: &[f32]| {
            group.case();
            let share: Vec<f64> = got.iter().map(|value| f64::from(*value) / max_abs(want)).collect();
            let wanted: Vec<f64> = want.iter().map(|value| f64::from(*value) / max_abs(want)).collect();
            group.within(&format!("{what} {name} {case}"), &share, &wanted, tolerance(numbers));
        };
        text(&model, name, &mut close);
        let goldens = Tensors::read(&format!("goldens/{name}/unet.safetensors"));
        for case in cases(&goldens, ".output") {
            let want = goldens.get(&format!("{case}.output")).floats();
            close(&format!("UNet {case}"), &values(&run_unet(&model, &goldens, &case)), want);
        }
        let goldens = Tensors::read(&format!("goldens/{name}/vae.safetensors"));
        for case in cases(&goldens, ".image") {
            let golden = |part: &str| tensor(&goldens, &format!("{case}.{part}"));
            let mean = model.vae.encode(&golden("image")).expect("latents").mean;
            close(&format!("{case} mean"), &values(&mean), goldens.get(&format!("{case}.mean")).floats());
            let latents = (golden("latents") / model.vae.config().scaling_factor).expect("latents");
            let decoded = model.vae.decode(&latents).expect("a picture");
            close(&format!("{case} decoded"), &values(&decoded), goldens.get(&format!("{case}.decoded")).floats());
        }
    }
}

/// Compares values with expected ones, by the name of what they are.
type Close<'a> = dyn FnMut(&str, &[f32], &[f32]) + 'a;

fn text(model: &Model, name: &str, close: &mut Close<'_>) {
    let goldens = Tensors::read(&format!("goldens/{name}/text_encoder.safetensors"));
    let prompts = read_json(&support::folder().join("goldens/text_prompts.json"));
    let rows: Vec<Vec<u32>> = prompts[name]
        .as_array()
        .expect("prompts")
        .iter()
        .map(|prompt| model.text.tokenizer.encode(prompt.as_str().expect("a prompt")).expect("ids").ids)
        .collect();
    let encoding = model.text.encoder.forward(&rows).expect("an encoding");
    let last = goldens.get("last_hidden_state").floats();
    close("text", &values(&encoding.last_hidden_state), last);
}

#[test]
fn the_operations_of_cards_in_f32() {
    support::group("operations of cards", |group| compare(group, &portable(), "f32", ComputeType::F32));
}

#[test]
fn the_operations_of_cards_in_f16() {
    let numbers = ComputeType::F16;
    support::group("operations of cards in f16", |group| compare(group, &in_numbers(numbers), "f16", numbers));
}

#[test]
fn the_operations_of_cards_in_bf16() {
    let numbers = ComputeType::Bf16;
    support::group("operations of cards in bf16", |group| compare(group, &in_numbers(numbers), "bf16", numbers));
}

#[test]
fn weights_that_stay_in_their_file() {
    support::group("weights left in their file", |group| {
        let placement = portable().streaming(&Part::ALL);
        compare(group, &placement, "f32", ComputeType::F32);
        let model = load_on(placement, "sd1").expect("a model");
        assert!(model.unet.place().is_streamed() && model.vae.place().is_streamed());
    });
}
