//! What computes: [`DeviceChoice`] is what the user asks for, [`DeviceUse`] what came of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the user wants the networks to be computed by. As text: `auto`, `cpu`, `cuda`, `cuda:1`, `metal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// A graphics card where there is one that works, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA card, by its number from 0.
    Cuda(u32),
    /// Apple's graphics.
    Metal,
    /// The processor by the operations that graphics cards use, which are slow there: for tests. As text:
    /// `cpu:portable`.
    Portable,
}

impl DeviceChoice {
    /// What the window offers: on a Mac its own graphics, elsewhere the first card.
    pub const OFFERED: [Self; 3] =
        [Self::Auto, Self::Cpu, if cfg!(target_os = "macos") { Self::Metal } else { Self::Cuda(0) }];

    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "Automatic",
            Self::Cpu => "Processor",
            Self::Cuda(0) => "NVIDIA card",
            Self::Cuda(_) => "Another NVIDIA card",
            Self::Metal => "Apple graphics",
            Self::Portable => "Processor, as a graphics card",
        }
    }

    /// What it means.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Auto => "a graphics card where one works, else the processor",
            Self::Cpu => "works everywhere",
            Self::Cuda(_) => "needs NVIDIA's driver and CUDA's libraries",
            Self::Metal => "on a Mac",
            Self::Portable => "slow; for tests",
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Metal => f.write_str("metal"),
            Self::Portable => f.write_str("cpu:portable"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        match lower.as_str() {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            "cuda" | "gpu" => return Ok(Self::Cuda(0)),
            "metal" | "mps" => return Ok(Self::Metal),
            "cpu:portable" => return Ok(Self::Portable),
            _ => {}
        }
        // A number of no card is refused when it is opened; one that is none, here.
        match lower.strip_prefix("cuda:").map(u32::from_str) {
            Some(Ok(n)) => Ok(Self::Cuda(n)),
            _ => Err(format!("{text:?} is none of auto, cpu, cuda, cuda:1 and metal")),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// In which numbers a network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeType {
    /// 32 bits.
    F32,
    /// 16 bits, up to 65504, eleven significant bits.
    F16,
    /// 16 bits, as far as f32 reaches, eight significant bits.
    Bf16,
}

impl ComputeType {
    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl fmt::Display for ComputeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

/// What computes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceUse {
    /// What was asked for.
    pub asked: DeviceChoice,
    /// What is used: never [`DeviceChoice::Auto`].
    pub used: DeviceChoice,
    /// The card's name, where there is one.
    pub name: Option<String>,
    /// Its memory in bytes, where it is known.
    pub memory_bytes: Option<u64>,
    /// Why no card is used, where one was asked for or looked for: `no CUDA device`.
    pub reason: Option<String>,
}

impl DeviceUse {
    /// The processor, because it was asked for.
    #[must_use]
    pub fn cpu() -> Self {
        Self { asked: DeviceChoice::Cpu, used: DeviceChoice::Cpu, name: None, memory_bytes: None, reason: None }
    }

    /// Whether a graphics card computes.
    #[must_use]
    pub fn is_card(&self) -> bool {
        matches!(self.used, DeviceChoice::Cuda(_) | DeviceChoice::Metal)
    }

    /// Whether a card was asked for by its name, and is not used.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.asked, DeviceChoice::Cuda(_) | DeviceChoice::Metal) && !self.is_card()
    }
}

impl fmt::Display for DeviceUse {
    /// One sentence without a full stop: `no CUDA device: using the CPU`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.reason {
            write!(f, "{reason}: ")?;
        }
        match (self.used, &self.name) {
            (DeviceChoice::Cpu, _) => f.write_str("using the CPU")?,
            (used, Some(name)) => write!(f, "using {used}, {name}")?,
            (used, None) => write!(f, "using {used}")?,
        }
        match self.memory_bytes {
            Some(bytes) => write!(f, " with {:.1} GB", bytes as f64 / 1e9),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_choice_is_read_as_it_is_written() {
        for choice in [DeviceChoice::Cuda(7), DeviceChoice::Portable].into_iter().chain(DeviceChoice::OFFERED) {
            assert_eq!(choice.to_string().parse(), Ok(choice));
            let json = serde_json::to_string(&choice).unwrap();
            assert_eq!(serde_json::from_str::<DeviceChoice>(&json).unwrap(), choice);
        }
        assert_eq!("CUDA".parse(), Ok(DeviceChoice::Cuda(0)));
        assert_eq!(DeviceChoice::default(), DeviceChoice::Auto);
        for wrong in ["", "cuda:", "cuda:-1", "cuda:x", "cuda:99999999999", "tpu"] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,12}") {
            if let Ok(choice) = text.parse::<DeviceChoice>() {
                prop_assert_eq!(choice.to_string().parse::<DeviceChoice>(), Ok(choice));
            }
        }
    }

    #[test]
    fn what_is_used_and_why_is_one_sentence() {
        let none = DeviceUse { asked: DeviceChoice::Auto, reason: Some("no CUDA device".into()), ..DeviceUse::cpu() };
        assert_eq!(none.to_string(), "no CUDA device: using the CPU");
        assert!(!none.is_refused() && DeviceUse { asked: DeviceChoice::Cuda(0), ..none }.is_refused());
        let card = DeviceUse {
            asked: DeviceChoice::Auto,
            used: DeviceChoice::Cuda(0),
            name: Some("NVIDIA L4".into()),
            memory_bytes: Some(24_000_000_000),
            reason: None,
        };
        assert_eq!(card.to_string(), "using cuda:0, NVIDIA L4 with 24.0 GB");
        assert!(card.is_card() && !card.is_refused());
    }
}
