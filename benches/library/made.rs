//! A made-up library: pictures of some pixels with recipes as people have them, for a test and a measurement.

#![expect(clippy::unwrap_used, reason = "without its library there is nothing to test or measure")]

use std::fs;

use atelier::domain::{GenerateRequest, LoraUse, ModelRef, Picture, Recipe, SamplerId, ScheduleId, Verdict};
use atelier::library::{Embedded, Paths, png_file};

/// The first picture's time: the first of January 2025, in milliseconds since 1970 UTC.
pub const FIRST_MS: i64 = 1_735_689_600_000;
/// Every so many-th prompt has the word "marigold".
pub const RARE: u64 = 1000;

const WORDS: &[&str] = &[
    "red",
    "blue",
    "green",
    "black",
    "white",
    "linen",
    "silk",
    "cotton",
    "wool",
    "denim",
    "dress",
    "coat",
    "shirt",
    "boot",
    "sneaker",
    "sandal",
    "bag",
    "hat",
    "pullover",
    "trouser",
    "studio",
    "lighting",
    "portrait",
    "photo",
    "film",
    "grain",
    "bokeh",
    "sunset",
    "garden",
    "street",
    "rain",
    "mountain",
    "sea",
    "forest",
    "detailed",
    "intricate",
    "elegant",
    "minimal",
    "vintage",
    "baroque",
    "watercolour",
    "charcoal",
    "pastel",
    "wide",
    "angle",
    "close",
    "up",
    "sharp",
    "focus",
    "soft",
    "shadow",
    "golden",
    "hour",
    "mist",
    "river",
    "castle",
    "robot",
    "cat",
    "dog",
    "owl",
    "fox",
    "horse",
    "child",
    "woman",
    "man",
    "old",
    "young",
    "smiling",
    "walking",
    "sitting",
    "dancing",
    "reading",
    "window",
    "door",
    "table",
    "chair",
    "lamp",
    "book",
    "flower",
    "tree",
    "cloud",
    "star",
    "moon",
    "snow",
    "ice",
    "fire",
    "smoke",
    "glass",
    "metal",
    "wood",
    "stone",
    "paper",
    "ink",
    "gold",
    "silver",
    "copper",
    "velvet",
    "lace",
    "fur",
    "leather",
    "masterpiece",
];
const MODELS: &[&str] =
    &["Starter", "SD Turbo", "v1-5 pruned", "dreamlike", "SDXL base", "anything", "photon", "juggernaut"];

/// Numbers that look drawn, the same at every run (`SplitMix64`, Steele et al. 2014).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Writes that many pictures below the pictures folder, over two years, four of each recipe with seeds of their own.
pub fn write_pictures(paths: &Paths, count: u64) {
    for index in 0..count {
        let mut dice = Dice(index / 4);
        let recipe = recipe(&mut dice, index);
        let created_ms = FIRST_MS + (index * (730 * 86_400_000) / count) as i64;
        let (width_px, height_px) = dice.of(&[(8, 8), (8, 12), (12, 8), (16, 16), (6, 9)]);
        let rgba = [index as u8, (index >> 8) as u8, 90, 255].repeat((width_px * height_px) as usize);
        let picture = Picture { width_px, height_px, rgba };
        let folder = paths.pictures_dir.join(format!("day-{:03}", index * 730 / count));
        if !folder.exists() {
            fs::create_dir_all(&folder).unwrap();
        }
        let bytes = png_file::encode(&picture, &Embedded::of_recipe(&recipe, created_ms)).unwrap();
        fs::write(folder.join(format!("{index:06}.png")), bytes).unwrap();
    }
}

fn recipe(dice: &mut Dice, index: u64) -> Recipe {
    let words = 8 + dice.below(30);
    let mut prompt: Vec<&str> = (0..words).map(|_| dice.of(WORDS)).collect();
    if index.is_multiple_of(RARE) {
        prompt.push("marigold");
    }
    let mut prompt = prompt.join(" ");
    if dice.below(10) == 0 {
        prompt += " <lora:denim-v2:0.8>";
    }
    let model = dice.below(MODELS.len() as u64) as usize;
    let silk = LoraUse { path: "/loras/silk.safetensors".into(), unet_weight: 0.7, text_encoder_weight: 0.7 };
    Recipe {
        request: GenerateRequest {
            prompt,
            negative_prompt: "blurry, low quality, watermark, extra fingers".to_owned(),
            model: if model == 0 {
                ModelRef::Starter
            } else {
                ModelRef::Path(format!("/m/{}.safetensors", MODELS[model]).into())
            },
            width_px: 512,
            height_px: 768,
            num_inference_steps: dice.of(&[4, 20, 25, 30, 50]),
            guidance_scale: dice.of(&[1.0, 5.0, 7.0, 7.5]),
            sampler: dice.of(&SamplerId::ALL),
            schedule: dice.of(&ScheduleId::ALL),
            loras: if dice.below(10) == 0 { vec![silk] } else { Vec::new() },
            seed: index.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..GenerateRequest::default()
        },
        model_name: MODELS[model].to_owned(),
        model_hash: format!("{:010x}", model * 0x1234_5678),
        version: "Atelier 0.1.0".to_owned(),
        elapsed_secs: 1.0 + dice.below(60) as f64,
        safety: Some(Verdict { flagged: dice.below(50) == 0, score: -0.1 }),
        grid: None,
    }
}
