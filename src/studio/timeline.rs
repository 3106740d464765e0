//! [`Timeline`]: the steps of this session's pictures, which one is looked at, and branches from there.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::{Cancel, Command, Fork, GenerateRequest, JobId, Picture, StepPreview, UserError};

use super::{Action, Effect, FilmItem, Info, Key, Shortcut, State, View};

/// Bytes of small previews that are kept; those of the oldest pictures go.
const MEMORY_BUDGET: usize = 64 << 20;

/// An act on the steps of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineAction {
    /// Look at a step, from 1.
    Look(u32),
    /// Look at the step before.
    Previous,
    /// Look at the step after.
    Next,
    /// Back to the finished picture.
    Leave,
    /// Decode the step that is looked at.
    See,
    /// Go on from the step that is looked at, with what the draft says.
    Fork,
    /// Make the draft's picture from noise again.
    DropFork,
    /// Keep every step on the disk, or do not.
    ToggleKeep,
}

impl TimelineAction {
    /// Text, tooltip and shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip, shortcut) = match self {
            Self::Look(_) => ("Look", "Show what the picture was expected to become at this step", None),
            Self::Previous => ("Step before", "Look at the step before", Some(Shortcut::plain(Key::Left))),
            Self::Next => ("Step after", "Look at the step after", Some(Shortcut::plain(Key::Right))),
            Self::Leave => ("Finished picture", "Back to the finished picture", None),
            Self::See => ("See step in full", "Decode this step to a picture of full size", None),
            Self::Fork => (
                "Fork from here",
                "Go on from this step to another picture, with the prompt, guidance, sampler and seed at the left",
                None,
            ),
            Self::DropFork => ("Forget the branch", "Make this from noise, from its first step on", None),
            Self::ToggleKeep => (
                "Keep every step on the disk",
                "Steps can then be seen in full and forked after a restart without being made again. A picture of 512 × \
                 512 px takes about 5 MB",
                None,
            ),
        };
        Info { text, tooltip, shortcut }
    }
}

impl From<TimelineAction> for Action {
    fn from(action: TimelineAction) -> Self {
        Self::Timeline(action)
    }
}

/// The steps of a picture of this session.
#[derive(Clone, Debug)]
pub struct PictureSteps {
    /// The picture's key in the filmstrip.
    pub key: u64,
    /// Its steps, in their order.
    pub steps: Vec<StepPreview>,
}

/// A step that was asked for in full.
#[derive(Clone, Debug)]
pub struct SeenStep {
    /// The picture's key in the filmstrip.
    pub key: u64,
    /// The step, from 1.
    pub step: u32,
    /// What it was expected to become; `None` until that has come.
    pub picture: Option<Arc<Picture>>,
    cancel: Cancel,
}

/// A picture among those that branch off each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeNode {
    /// Its key in the filmstrip.
    pub key: u64,
    /// How many pictures it branches off.
    pub depth: usize,
    /// Where it comes from: `Step 8 · prompt, guidance 7`.
    pub label: String,
}

/// The steps of this session's pictures.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Of pictures whose end is still to come.
    coming: Vec<(JobId, u32, Vec<StepPreview>)>,
    /// Newest first.
    pictures: VecDeque<PictureSteps>,
    /// The picture and the step that are looked at.
    looked_at: Option<(u64, u32)>,
    /// The step that was last asked for in full.
    pub seen: Option<SeenStep>,
    /// Whether new pictures keep their steps on the disk.
    pub keeps_steps: bool,
}

impl Timeline {
    pub(super) fn new(keeps_steps: bool) -> Self {
        Self { keeps_steps, ..Self::default() }
    }

    /// The steps of a picture of this session, if they are known.
    #[must_use]
    pub fn steps_of(&self, key: u64) -> Option<&PictureSteps> {
        self.pictures.iter().find(|picture| picture.key == key)
    }

    /// Steps of a picture that will be finished in a moment.
    pub(super) fn arrived(&mut self, job: JobId, index: u32, steps: Vec<StepPreview>) {
        self.coming.retain(|(of, ..)| *of == job);
        self.coming.push((job, index, steps));
    }

    /// A picture is finished, and has a key.
    pub(super) fn finished(&mut self, key: u64, job: JobId, index: u32) {
        let Some(place) = self.coming.iter().position(|(of, at, _)| (*of, *at) == (job, index)) else { return };
        let (.., steps) = self.coming.swap_remove(place);
        if steps.len() < 2 {
            return; // nothing to go back to
        }
        self.pictures.push_front(PictureSteps { key, steps });
        let mut bytes = 0;
        self.pictures.retain(|picture| {
            bytes += picture.steps.iter().map(|step| step.preview.rgba.len()).sum::<usize>();
            bytes <= MEMORY_BUDGET || picture.key == key
        });
    }
}

impl State {
    /// The steps of the picture in view. Those of a hidden picture are hidden too.
    #[must_use]
    pub fn steps_in_view(&self) -> Option<&PictureSteps> {
        let item = self.film_in_view().filter(|item| self.hidden_film(item).is_none())?;
        self.timeline.steps_of(item.key)
    }

    /// The step of the picture in view that is looked at; `None` where it is the finished picture.
    #[must_use]
    pub fn step_in_view(&self) -> Option<&StepPreview> {
        let steps = self.steps_in_view()?;
        let (key, step) = self.timeline.looked_at?;
        steps.steps.iter().find(|at| key == steps.key && at.step == step)
    }

    /// Why the step that is looked at cannot be forked.
    #[must_use]
    pub fn fork_blocked(&self) -> Option<String> {
        match self.fork_request() {
            Err(reason) => Some(reason),
            Ok(request) => {
                let Some(family) = self.family_of(&request.model) else {
                    return Some("Its model is not loaded".to_owned());
                };
                request.validate(family).into_iter().next().map(|problem| problem.sentence)
            }
        }
    }

    /// The pictures of this session that the one in view belongs to, by branching off: each behind what it branches off.
    /// Empty where it stands alone.
    #[must_use]
    pub fn branches_in_view(&self) -> Vec<TreeNode> {
        let Some(shown) = self.film_in_view() else { return Vec::new() };
        let root = root_of(&shown.recipe.request);
        let family: Vec<&FilmItem> = self.film.items().filter(|item| root_of(&item.recipe.request) == root).collect();
        // The same recipe made twice is no branch.
        if family.iter().all(|item| item.recipe.request.fork.is_none()) {
            return Vec::new();
        }
        let mut nodes = Vec::new();
        let parent_of = |item: &FilmItem| {
            let fork = item.recipe.request.fork.as_ref()?;
            family.iter().rfind(|other| other.recipe.request == *fork.parent).map(|parent| parent.key)
        };
        let parents: Vec<(u64, Option<u64>)> = family.iter().map(|item| (item.key, parent_of(item))).collect();
        // Oldest first; a stack instead of a recursion.
        let children = |of: Option<u64>| parents.iter().filter(move |(_, parent)| *parent == of).map(|(key, _)| *key);
        let mut open: Vec<(u64, usize)> = children(None).map(|key| (key, 0)).collect();
        while let Some((key, depth)) = open.pop() {
            let label = family.iter().find(|item| item.key == key).map(|item| label_of(&item.recipe.request));
            nodes.push(TreeNode { key, depth, label: label.unwrap_or_default() });
            open.extend(children(Some(key)).map(|child| (child, depth + 1)));
        }
        nodes
    }

    pub(super) fn apply_timeline(&mut self, action: TimelineAction) -> Vec<Effect> {
        match action {
            TimelineAction::Look(step) => self.look_at(step),
            TimelineAction::Previous => self.look_beside(false),
            TimelineAction::Next => self.look_beside(true),
            TimelineAction::Leave => self.leave_step(),
            TimelineAction::See => return self.see_step(),
            TimelineAction::Fork => return self.fork(),
            TimelineAction::DropFork => {
                self.draft.request.fork = None;
                self.mark_dirty();
            }
            TimelineAction::ToggleKeep => {
                self.timeline.keeps_steps = !self.timeline.keeps_steps;
                return vec![self.save_settings()];
            }
        }
        Vec::new()
    }

    fn look_at(&mut self, step: u32) {
        let Some(steps) = self.steps_in_view() else { return };
        let (key, is_last) = (steps.key, steps.steps.last().is_none_or(|last| last.step == step));
        if self.timeline.seen.as_ref().is_some_and(|seen| (seen.key, seen.step) != (key, step)) {
            self.forget_seen();
        }
        self.timeline.looked_at = (!is_last).then_some((key, step));
        // It stays in view while others are made.
        self.film.view = View::Film(key);
    }

    fn look_beside(&mut self, forward: bool) {
        let Some(steps) = self.steps_in_view() else { return };
        let last = steps.steps.len() - 1;
        let at = self.step_in_view().map(|at| at.step);
        let place = at.and_then(|at| steps.steps.iter().position(|step| step.step == at)).unwrap_or(last);
        let place = if forward { (place + 1).min(last) } else { place.saturating_sub(1) };
        let step = steps.steps[place].step;
        self.look_at(step);
    }

    fn leave_step(&mut self) {
        self.timeline.looked_at = None;
        self.forget_seen();
    }

    fn forget_seen(&mut self) {
        if let Some(seen) = self.timeline.seen.take() {
            seen.cancel.cancel();
        }
    }

    fn see_step(&mut self) -> Vec<Effect> {
        let (Some(item), Some(at)) = (self.film_in_view(), self.step_in_view()) else { return Vec::new() };
        let (key, step, request) = (item.key, at.step, Box::new(item.recipe.request.clone()));
        if self.timeline.seen.as_ref().is_some_and(|seen| (seen.key, seen.step) == (key, step)) {
            return Vec::new();
        }
        self.forget_seen();
        let cancel = Cancel::default();
        self.timeline.seen = Some(SeenStep { key, step, picture: None, cancel: cancel.clone() });
        vec![Effect::Engine(Command::SeeStep { request, step, cancel })]
    }

    pub(super) fn step_seen(&mut self, request: &GenerateRequest, step: u32, picture: Result<Arc<Picture>, UserError>) {
        let Some(seen) = &mut self.timeline.seen else { return };
        let is_it = |item: &FilmItem| item.recipe.request == *request;
        if seen.step != step || !self.film.item(seen.key).is_some_and(is_it) {
            return; // another one is looked at by now
        }
        match picture {
            Ok(picture) => seen.picture = Some(picture),
            Err(error) => {
                self.timeline.seen = None;
                if !error.is_cancelled() {
                    self.notices.error(error);
                }
            }
        }
    }

    fn fork(&mut self) -> Vec<Effect> {
        if let Some(reason) = self.fork_blocked() {
            self.notices.info(reason, None);
            return Vec::new();
        }
        let Ok(request) = self.fork_request() else { return Vec::new() };
        self.timeline.looked_at = None;
        self.forget_seen();
        self.enqueue(request)
    }

    /// What a fork from the step that is looked at is made of: the draft's words, guidance, sampler and seed, and for the
    /// rest what the picture in view is made of.
    fn fork_request(&self) -> Result<GenerateRequest, String> {
        let (Some(item), Some(at)) = (self.film_in_view(), self.step_in_view()) else {
            return Err("Choose a step before the last".to_owned());
        };
        let parent = &item.recipe.request;
        if let Some(reason) = Fork::obstacle(parent) {
            return Err(reason.to_owned());
        }
        let draft = &self.draft.request;
        let fork = Fork { parent: Box::new(parent.clone()), step: at.step };
        Ok(GenerateRequest {
            prompt: draft.prompt.clone(),
            negative_prompt: draft.negative_prompt.clone(),
            guidance_scale: draft.guidance_scale,
            guidance_rescale: draft.guidance_rescale,
            sampler: draft.sampler,
            schedule: draft.schedule,
            seed: draft.seed,
            clip_skip: draft.clip_skip,
            loras: draft.loras.clone(),
            count: 1,
            fork: Some(fork),
            ..parent.clone()
        })
    }
}

/// What a request branches off in the end; itself where that is nothing.
fn root_of(request: &GenerateRequest) -> &GenerateRequest {
    let mut at = request;
    while let Some(fork) = &at.fork {
        at = &fork.parent;
    }
    at
}

/// Where a branch begins, and how it differs from what it leaves.
fn label_of(request: &GenerateRequest) -> String {
    let Some(fork) = &request.fork else { return "The first one".to_owned() };
    let mut label = format!("Step {}", fork.step);
    for (i, difference) in differences(&fork.parent, request).iter().enumerate() {
        let joint = if i == 0 { " · " } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(label, "{joint}{difference}");
    }
    label
}

/// What differs between a picture and one that branches off it, in words.
fn differences(parent: &GenerateRequest, child: &GenerateRequest) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |differs: bool, text: String| {
        if differs {
            all.push(text);
        }
    };
    add(parent.prompt != child.prompt, "prompt".to_owned());
    add(parent.negative_prompt != child.negative_prompt, "negative prompt".to_owned());
    add(parent.guidance_scale != child.guidance_scale, format!("guidance {}", child.guidance_scale));
    add(parent.sampler != child.sampler, child.sampler.label().to_owned());
    add(parent.schedule != child.schedule, format!("schedule {}", child.schedule.label()));
    add(parent.num_inference_steps != child.num_inference_steps, format!("{} steps", child.num_inference_steps));
    add(parent.seed != child.seed, format!("seed {}", child.seed));
    add(parent.loras != child.loras, "LoRAs".to_owned());
    let rest = (parent.guidance_rescale, parent.clip_skip) != (child.guidance_rescale, child.clip_skip);
    add(rest || parent.vae != child.vae, "details".to_owned());
    if all.is_empty() {
        all.push("nothing changed".to_owned());
    }
    all
}
