//! What a picture will take on this machine, in seconds and memory, judged by the pictures that it made before.

use crate::domain::{
    Capabilities, Event, FamilyId, GenerateRequest, JobId, ModelRef, ModelState, Recipe, Timing, bytes_text,
};

use super::{Memory, Size, State, duration_text};

/// How many measurements are remembered.
const MAX_TIMINGS: usize = 96;
/// Of how many of the same kind the median is taken.
const MEDIAN_OF: usize = 9;
/// Sizes that differ by less than this share count as the same.
const SAME_SIZE: f64 = 0.02;
/// How time grows with the number of px: convolutions in proportion, attention with its square.
const TIME_EXPONENT: f64 = 1.15;
/// What the second prompt costs: both are evaluated in one batch, and the first layers once for both.
const GUIDED_FACTOR: f64 = 1.9;
/// How much of a picture's whole time is not spent on steps, where only the whole is known: so it is with 20 guided steps of
/// Stable Diffusion 1.5 at 512 × 512 px.
const REST_SHARE: f64 = 0.06;
/// What the program takes with no model: the window and its libraries, as measured under software OpenGL.
const BASE_BYTES: f64 = 0.12e9;
/// What the network's steps take for each px of a guided picture. Of Stable Diffusion 1.5 at 512 × 512 px 2.3 GB were
/// measured at once, of XL at 1024 × 1024 px 7.0 GB; while steps are made the network's weights are there, and those of
/// the other parts are given back. What remains is 0.5 GB and 1.8 GB, that is about this much for each px.
const STEP_BYTES_PER_PX: f64 = 1_850.0;
/// What free memory is counted for: the rest is for other programs that grow meanwhile.
const USABLE: f64 = 0.95;

/// What a request will take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Time for all its pictures, without the loading of the model; `None` while this machine has not made such a one.
    pub secs: Option<f64>,
    /// The most memory at once, in bytes; `None` while nothing is known of the model's size.
    pub bytes: Option<u64>,
    /// What is to be said before it begins, where it does not fit into this machine's memory.
    pub shortage: Option<String>,
}

impl Estimate {
    /// In one line, such as `about 12 s · 2.3 GB`; `None` where nothing is known.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let secs = self.secs.map(|secs| format!("about {}", rounded_text(secs)));
        let bytes = self.bytes.map(memory_text);
        let parts: Vec<String> = secs.into_iter().chain(bytes).collect();
        (!parts.is_empty()).then(|| parts.join(" · "))
    }
}

/// An amount of memory, with no more digits than are meant.
#[must_use]
pub fn memory_text(bytes: u64) -> String {
    if bytes < 1_000_000_000 { format!("{:.0} MB", bytes as f64 / 1e6) } else { bytes_text(bytes) }
}

/// A duration that is only known roughly: no more digits than are meant.
fn rounded_text(secs: f64) -> String {
    match secs {
        _ if secs < 1.0 => "1 s".to_owned(),
        10.0..60.0 => duration_text(secs.round()),
        60.0..3600.0 => duration_text((secs / 5.0).round() * 5.0),
        3600.0.. => duration_text((secs / 60.0).round() * 60.0),
        _ => format!("{secs:.0} s"),
    }
}

/// Measures the running job by what the engine tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopwatch {
    of: Option<(JobId, u32)>,
    first: Option<(u32, f64)>,
    last: Option<(u32, f64)>,
    peak_bytes: Option<u64>,
}

impl Stopwatch {
    /// The program was seen to take this much memory.
    pub(super) fn saw(&mut self, memory: Option<Memory>) {
        if self.of.is_some() {
            self.peak_bytes = self.peak_bytes.max(memory.map(|memory| memory.own_bytes));
        }
    }

    fn step(&mut self, of: (JobId, u32), step: u32, elapsed_secs: f64) {
        if self.of != Some(of) {
            *self = Self { of: Some(of), ..Self::default() };
        }
        // A second pass counts its steps from 1 again.
        if self.last.is_some_and(|(last, _)| last >= step) {
            self.first = None;
        }
        self.first.get_or_insert((step, elapsed_secs));
        self.last = Some((step, elapsed_secs));
    }

    /// Seconds for each step, once two were seen. Steps whose news were dropped do no harm.
    fn secs_per_step(&self) -> Option<f64> {
        let ((first, begun), (last, now)) = (self.first?, self.last?);
        (last > first && now > begun).then(|| (now - begun) / f64::from(last - first))
    }
}

impl State {
    /// Measures by what the engine tells; to be called before the event is taken in.
    pub(super) fn time(&mut self, event: &Event) {
        match event {
            Event::Step { job, index, step, elapsed_secs, .. } => {
                self.shell.stopwatch.step((*job, *index), *step, *elapsed_secs);
            }
            Event::Finished { job, index, recipe, .. } => {
                let watch = std::mem::take(&mut self.shell.stopwatch);
                if watch.of == Some((*job, *index)) {
                    self.learn(&watch, recipe);
                }
            }
            Event::Done { .. } | Event::Cancelled { .. } | Event::Failed { .. } => {
                self.shell.stopwatch = Stopwatch::default();
            }
            _ => {}
        }
    }

    /// Seconds for each step of the running picture, once that can be told.
    #[must_use]
    pub fn secs_per_step(&self) -> Option<f64> {
        self.shell.stopwatch.secs_per_step()
    }

    fn learn(&mut self, watch: &Stopwatch, recipe: &Recipe) {
        let request = &recipe.request;
        // Of two sizes, or of tiles, nobody could say which step was which.
        if request.hires.is_some() || request.upscale.is_some() {
            return;
        }
        let (Some(family), Some(secs_per_step), Some((steps, _))) =
            (self.family_of(&request.model), watch.secs_per_step(), watch.last)
        else {
            return;
        };
        let timing = Timing {
            family: family.family,
            px: px_of(request.width_px, request.height_px),
            guided: is_guided(request, family.family),
            threads: self.shell.machine.threads,
            secs_per_evaluation: secs_per_step / f64::from(request.sampler.evaluations_per_step()),
            rest_secs: (recipe.elapsed_secs - secs_per_step * f64::from(steps)).max(0.0),
            peak_bytes: watch.peak_bytes,
        };
        if !(timing.secs_per_evaluation.is_finite() && timing.rest_secs.is_finite()) {
            return; // nothing that JSON could hold
        }
        let timings = &mut self.shell.settings.timings;
        timings.push(timing);
        let surplus = timings.len().saturating_sub(MAX_TIMINGS);
        timings.drain(..surplus);
        self.mark_dirty();
    }

    /// Learns from recipes of the history, which tell how long a whole picture took, where none of its family was measured.
    /// They may come from another machine: what is measured here takes their place.
    pub(super) fn recall<'a>(&mut self, recipes: impl Iterator<Item = &'a Recipe>) {
        let (mut recalled, threads) = (Vec::new(), self.shell.machine.threads);
        for Recipe { request, elapsed_secs, .. } in recipes {
            let is_plain = request.hires.is_none() && request.upscale.is_none() && request.init.is_none();
            let Some(family) = self.family_of(&request.model).map(|family| family.family) else { continue };
            let is_measured = self.shell.settings.timings.iter().any(|timing| timing.family == family);
            if !is_plain || is_measured || elapsed_secs.is_nan() || *elapsed_secs <= 0.0 {
                continue;
            }
            let evaluations = request.num_inference_steps.max(1) * request.sampler.evaluations_per_step();
            recalled.push(Timing {
                family,
                px: px_of(request.width_px, request.height_px),
                guided: is_guided(request, family),
                threads,
                secs_per_evaluation: elapsed_secs * (1.0 - REST_SHARE) / f64::from(evaluations),
                rest_secs: elapsed_secs * REST_SHARE,
                peak_bytes: None,
            });
        }
        if !recalled.is_empty() {
            recalled.truncate(MAX_TIMINGS);
            self.shell.recalled = recalled;
        }
    }

    /// What the draft will take.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate_of(&self.draft.request)
    }

    /// What a request will take. Nothing is known of one whose model's family is not known.
    #[must_use]
    pub fn estimate_of(&self, request: &GenerateRequest) -> Estimate {
        let Some(family) = self.family_of(&request.model) else { return Estimate::default() };
        let secs = self.secs_of(request, family);
        let bytes = self.bytes_of(request, family, (request.width_px, request.height_px));
        let shortage = bytes.and_then(|bytes| self.shortage(request, family, bytes));
        Estimate { secs, bytes, shortage }
    }

    fn secs_of(&self, request: &GenerateRequest, family: &Capabilities) -> Option<f64> {
        // How large the picture is that is enlarged, only its file tells.
        if request.upscale.is_some() {
            return None;
        }
        let pass = |px: u64, strength: f64| {
            let timing = self.expected(family.family, px, is_guided(request, family.family))?;
            let steps = (f64::from(request.num_inference_steps) * strength).floor().max(1.0);
            let evaluations = steps * f64::from(request.sampler.evaluations_per_step());
            Some(evaluations * timing.secs_per_evaluation + timing.rest_secs)
        };
        let strength = request.init.as_ref().map_or(1.0, |init| init.strength);
        let mut secs = pass(px_of(request.width_px, request.height_px), strength)?;
        if let Some(hires) = request.hires {
            let (width_px, height_px) = hires.size_of(request, family.size_multiple_px);
            secs += pass(px_of(width_px, height_px), hires.strength)?;
        }
        Some(secs * f64::from(request.count))
    }

    /// What a picture of this kind took so far: the median of the last ones like it, else of those nearest in size, brought
    /// to this one's.
    fn expected(&self, family: FamilyId, px: u64, guided: bool) -> Option<Timing> {
        let measured = &self.shell.settings.timings;
        let is_measured = measured.iter().any(|timing| timing.family == family);
        let all = if is_measured { measured } else { &self.shell.recalled };
        let of_family = || all.iter().rev().filter(|timing| timing.family == family && timing.px > 0);
        let threads = self.shell.machine.threads;
        let on_as_many = of_family().any(|timing| timing.threads == threads);
        let known = || of_family().filter(|timing| !on_as_many || timing.threads == threads);
        let distance = |timing: &Timing| (timing.px as f64 / px.max(1) as f64).ln().abs();
        let nearest = known().map(distance).min_by(f64::total_cmp)?;
        let near = |timing: &&Timing| distance(timing) <= nearest.max(SAME_SIZE) + f64::EPSILON;
        let alike = known().any(|timing| near(&timing) && timing.guided == guided);
        let chosen: Vec<Timing> = known()
            .filter(near)
            .filter(|timing| !alike || timing.guided == guided)
            .take(MEDIAN_OF)
            .map(|timing| brought_to(timing, px, guided, threads))
            .collect();
        let median = |value: fn(&Timing) -> f64| median(chosen.iter().map(value).collect());
        Some(Timing {
            family,
            px,
            guided,
            threads,
            secs_per_evaluation: median(|timing| timing.secs_per_evaluation)?,
            rest_secs: median(|timing| timing.rest_secs)?,
            peak_bytes: None,
        })
    }

    fn bytes_of(&self, request: &GenerateRequest, family: &Capabilities, (width, height): (u32, u32)) -> Option<u64> {
        let largest = match request.hires {
            Some(hires) => {
                let scaled = GenerateRequest { width_px: width, height_px: height, ..request.clone() };
                hires.size_of(&scaled, family.size_multiple_px)
            }
            None => (width, height),
        };
        let (px, guided) = (px_of(largest.0, largest.1), is_guided(request, family.family));
        // What was measured with this model's family at this size counts more than what is reckoned.
        let alike = |timing: &&Timing| {
            timing.family == family.family
                && timing.guided == guided
                && (timing.px as f64 / px.max(1) as f64 - 1.0).abs() <= SAME_SIZE
        };
        let timings = self.shell.settings.timings.iter().rev();
        let measured: Vec<f64> =
            timings.filter(alike).filter_map(|timing| timing.peak_bytes).take(MEDIAN_OF).map(|b| b as f64).collect();
        if let Some(bytes) = median(measured) {
            return Some(bytes as u64);
        }
        let weights = self.network_bytes(&request.model, family.family)?;
        let steps = px as f64 * STEP_BYTES_PER_PX * if guided { 1.0 } else { 0.5 };
        Some((BASE_BYTES + weights + steps) as u64)
    }

    /// The weights of the network that makes the steps: the largest part, and the only one that is there meanwhile.
    fn network_bytes(&self, model: &ModelRef, family: FamilyId) -> Option<f64> {
        let listed = match model {
            ModelRef::Starter => None,
            ModelRef::Path(path) => self.shelf.entries.iter().find(|entry| entry.path == *path),
        };
        let summary = listed.and_then(|entry| match &entry.state {
            ModelState::Ready(summary) => Some(summary),
            ModelState::Refused(_) | ModelState::Unfinished { .. } => None,
        });
        let parameters = match (summary, self.models.info(model)) {
            (_, Some(info)) => info.parameters,
            (Some(summary), None) => summary.parameters,
            (None, None) => return None,
        };
        let bytes_each = match summary.map(|summary| summary.dtype.as_str()) {
            Some("f32") => 4.0,
            // Most models come so; where one does not, the first picture tells.
            _ => 2.0,
        };
        Some(parameters as f64 * network_share(family) * bytes_each)
    }

    /// What is missing, and what would fit.
    fn shortage(&self, request: &GenerateRequest, family: &Capabilities, bytes: u64) -> Option<String> {
        let memory = self.shell.machine.memory?;
        // What the program has already is used again.
        let usable = (memory.free_bytes + memory.own_bytes) as f64 * USABLE;
        if bytes as f64 <= usable {
            return None;
        }
        let fits = |size: &(u32, u32)| self.bytes_of(request, family, *size).is_some_and(|b| b as f64 <= usable);
        let smaller = smaller_sizes(request, family).find(fits);
        let advice = match smaller {
            Some((width, height)) => format!("{width} × {height} px would fit"),
            None => "No size of this model fits: close other programs, or choose a smaller model".to_owned(),
        };
        Some(format!(
            "This needs about {}, and {} are free: it would be very slow. {advice}",
            memory_text(bytes),
            memory_text(usable as u64)
        ))
    }
}

/// Smaller sizes of about the same shape, the largest first.
fn smaller_sizes<'a>(request: &GenerateRequest, family: &'a Capabilities) -> impl Iterator<Item = (u32, u32)> + 'a {
    let bounds = Size::of(family);
    let (width, height) = (request.width_px, request.height_px);
    let mut before = (width, height);
    (1..20).filter_map(move |tenth| {
        let scaled = |px: u32| bounds.clamp((f64::from(px) * (1.0 - f64::from(tenth) / 20.0)) as u32);
        let size = (scaled(width), scaled(height));
        let is_new = px_of(size.0, size.1) < px_of(before.0, before.1);
        before = size;
        is_new.then_some(size)
    })
}

/// Which share of all parameters the network that makes the steps has, by the published models of a family.
fn network_share(family: FamilyId) -> f64 {
    match family {
        // 859.5 of 1,066 million (Rombach et al.'s v1-5, without the safety checker).
        FamilyId::Sd1 | FamilyId::Lcm | FamilyId::Sd1Inpaint => 0.81,
        // 865.9 of 1,290 million.
        FamilyId::Sd2 | FamilyId::SdTurbo | FamilyId::Sd2Inpaint => 0.67,
        // 2,567 of 3,469 million.
        FamilyId::Sdxl | FamilyId::SdxlTurbo | FamilyId::SdxlInpaint => 0.74,
        FamilyId::Starter => 1.0,
    }
}

/// Whether both prompts are evaluated: networks that were taught to follow a scale are told it instead.
fn is_guided(request: &GenerateRequest, family: FamilyId) -> bool {
    request.guidance_scale > 1.0 && family != FamilyId::Lcm
}

fn px_of(width_px: u32, height_px: u32) -> u64 {
    u64::from(width_px) * u64::from(height_px)
}

/// What was measured, as it would have been at another size, with or without a second prompt, on other threads.
fn brought_to(timing: &Timing, px: u64, guided: bool, threads: u32) -> Timing {
    let grown = px as f64 / timing.px as f64;
    let guidance = match (timing.guided, guided) {
        (false, true) => GUIDED_FACTOR,
        (true, false) => 1.0 / GUIDED_FACTOR,
        _ => 1.0,
    };
    let spread = f64::from(timing.threads.max(1)) / f64::from(threads.max(1));
    Timing {
        secs_per_evaluation: timing.secs_per_evaluation * grown.powf(TIME_EXPONENT) * guidance * spread,
        rest_secs: timing.rest_secs * grown * spread,
        ..timing.clone()
    }
}

/// The middle value: one that was disturbed does not move it.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[count / 2]),
        count => Some(f64::midpoint(values[count / 2 - 1], values[count / 2])),
    }
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
