//! [`read`]: an adapter file's names, looked up in a model.

use std::collections::{BTreeMap, BTreeSet};

use super::adapter::{Adapter, Alpha, AlphaSource, LoraFile, Pair};
use super::base;
use super::keys::{self, HadaFactor, Method, Role, Spelling};
use super::modules::{Component, ModelModules, Module, elements, kohya_name, kohya_prefixes};
use super::report::{Base, ComponentFit, FitReport, Form, Ignored, Reason, Refusal};
use super::shapes::{self, Tensor};
use super::stated::Stated;
use crate::domain::Result;

/// How a file fits, and what it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// For the user.
    pub report: FitReport,
    adapter: Option<Adapter>,
}

impl Fit {
    /// The changes.
    ///
    /// # Errors
    /// When the file is not applied: the report's refusal.
    pub fn into_adapter(self) -> Result<Adapter> {
        match (self.adapter, self.report.refusal) {
            (Some(adapter), None) => Ok(adapter),
            (_, refusal) => Err(refusal.unwrap_or_else(nothing_in_it).into()),
        }
    }
}

/// Fits a file to a model. `scalar` reads the one value of a tensor: alphas are tensors.
///
/// A file is applied as far as its layers fit, and the report says what is left out. It is refused whole where it holds
/// an adapter of another kind than `LoRA`, `LoCon` and `LoHa`, where it was made for another family of models, and where
/// nothing fits.
#[must_use]
pub fn read(file: &LoraFile, model: &ModelModules, scalar: &dyn Fn(&str) -> Result<f32>) -> Fit {
    let stated = Stated::new(&file.metadata, file.adapter_config.as_ref());
    let mut reader = Reader { model, scalar, stated: &stated, hint: file.component, found: Found::default() };
    let groups = reader.groups(&file.tensors);
    let text_width = text_width(&groups);
    for (key, group) in &groups {
        reader.group(*key, group);
    }
    let names = file.tensors.iter().filter_map(|(name, _)| keys::parse(name)).map(|key| key.stem);
    let looks = base::looks(text_width, names);
    let Found { pairs, forms, mut ignored, methods, mut counts } = reader.found;
    // In the order of the file's names, which is not the order of the modules.
    ignored.sort_by(|a, b| a.name.cmp(&b.name));
    // A `UNet`'s names tell most: those of text encoders are alike in both of kohya's layouts.
    let forms = forms.into_values().next().unwrap_or_default();
    let form = forms.iter().max_by_key(|(form, count)| (**count, std::cmp::Reverse(**form))).map(|(form, _)| *form);
    let stated_base = base::stated(&file.metadata);
    let base = Base {
        stated_family: stated_base.as_ref().and_then(|(_, family)| *family),
        stated: stated_base.map(|(text, _)| text),
        looks,
        model: model.family(),
    };
    let methods: BTreeSet<Method> = methods.into_iter().chain(stated.methods.iter().copied()).collect();
    let judged = Judged {
        keys: file.tensors.len(),
        methods: &methods,
        faults: &stated.faults,
        base: &base,
        text_widths: (text_width, base::model_text_width(model)),
        ignored: &ignored,
        pairs: &pairs,
    };
    let refusal = judged.refusal();
    let notes = notes(&pairs, &forms, &base);
    counts.retain(|_, count| count.keys > 0);
    let report = FitReport {
        form,
        keys: file.tensors.len(),
        keys_matched: counts.values().map(|count| count.keys_matched).sum(),
        components: counts.into_values().collect(),
        base,
        ranks: pairs.values().map(|pair| pair.rank).min().zip(pairs.values().map(|pair| pair.rank).max()),
        ignored,
        notes,
        refusal,
    };
    let applied = report.refusal.is_none();
    let adapter = form.filter(|_| applied).map(|form| Adapter { form, pairs: pairs.into_values().collect() });
    Fit { report, adapter }
}

/// One tensor with how it was spelled.
struct Spelled<'a> {
    tensor: Tensor<'a>,
    stem: &'a str,
    spelling: Spelling,
}

/// What a group of tensors belongs to: one module, or a name that leads to none or to several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey<'a> {
    Module(usize),
    Stem(&'a str),
}

type Groups<'a> = BTreeMap<GroupKey<'a>, Vec<Spelled<'a>>>;

#[derive(Default)]
struct Found {
    /// By the module's place in the model.
    pairs: BTreeMap<usize, Pair>,
    /// How often each form was seen, by part.
    forms: BTreeMap<Component, BTreeMap<Form, usize>>,
    ignored: Vec<Ignored>,
    methods: BTreeSet<Method>,
    counts: BTreeMap<Component, ComponentFit>,
}

struct Reader<'m> {
    model: &'m ModelModules,
    scalar: &'m dyn Fn(&str) -> Result<f32>,
    stated: &'m Stated,
    hint: Option<Component>,
    found: Found,
}

impl Reader<'_> {
    /// The tensors by what they belong to. Those that are no part of an adapter are set aside.
    fn groups<'a>(&mut self, tensors: &'a [(String, Vec<usize>)]) -> Groups<'a> {
        let mut groups = Groups::new();
        for (name, shape) in tensors {
            let Some(key) = keys::parse(name) else {
                self.found.ignored.push(Ignored {
                    name: name.clone(),
                    component: None,
                    keys: 1,
                    reason: Reason::NotAnAdapterKey,
                });
                continue;
            };
            let group = match self.candidates(key.stem).as_slice() {
                [one] => GroupKey::Module(*one),
                _ => GroupKey::Stem(key.stem),
            };
            let tensor = Tensor { role: key.role, name, shape };
            groups.entry(group).or_default().push(Spelled { tensor, stem: key.stem, spelling: key.spelling });
        }
        for group in groups.values_mut() {
            group.sort_by_key(|spelled| (spelled.stem, spelled.tensor.name));
        }
        groups
    }

    /// The modules that a name can mean: several only where it does not tell one text encoder from the other.
    fn candidates(&self, stem: &str) -> Vec<usize> {
        if keys::is_kohya(stem) {
            return self.model.index_by_kohya_name(stem).into_iter().collect();
        }
        let place = keys::place(stem);
        match place.component.or(self.hint) {
            Some(component) => self.model.index_by_path(component, place.path).into_iter().collect(),
            None => Component::ALL.iter().filter_map(|part| self.model.index_by_path(*part, place.path)).collect(),
        }
    }

    fn group(&mut self, key: GroupKey<'_>, group: &[Spelled<'_>]) {
        let candidates = match key {
            GroupKey::Module(one) => vec![one],
            GroupKey::Stem(stem) => self.candidates(stem),
        };
        if has_roles_twice(group) {
            self.first_of_several(&candidates, group);
        } else {
            self.one(&candidates, group);
        }
    }

    /// A module under several names: the first whole one is used.
    fn first_of_several(&mut self, candidates: &[usize], group: &[Spelled<'_>]) {
        let mut used = false;
        for tensors in group.chunk_by(|one, other| one.stem == other.stem) {
            if used || has_roles_twice(tensors) {
                self.ignore(candidates.first().copied(), tensors, Reason::Twice);
            } else {
                used = self.one(candidates, tensors);
            }
        }
    }

    /// Whether the tensors make up a change of one of the candidates; else they are set aside.
    fn one(&mut self, candidates: &[usize], group: &[Spelled<'_>]) -> bool {
        let first = candidates.first().copied();
        let refused = group.iter().find_map(|spelled| match spelled.tensor.role {
            Role::Refused(method) => Some(method),
            _ => None,
        });
        if let Some(method) = refused {
            self.found.methods.insert(method);
            self.ignore(first, group, Reason::Refused { method });
            return false;
        }
        let tensors: Vec<Tensor<'_>> = group.iter().map(|spelled| spelled.tensor).collect();
        let mut reason = Reason::UnknownModule;
        for (i, candidate) in candidates.iter().enumerate() {
            let module = &self.model.modules()[*candidate];
            match self.pair(&tensors, module) {
                Ok(pair) => {
                    let forms = self.found.forms.entry(module.component).or_default();
                    *forms.entry(form(group, module, self.model)).or_default() += 1;
                    let count = self.count(module.component);
                    count.keys += group.len();
                    count.keys_matched += group.len();
                    count.modules += 1;
                    self.found.pairs.insert(*candidate, pair);
                    return true;
                }
                // The first candidate is the likeliest, so its reason is told.
                Err(why) if i == 0 => reason = why,
                Err(_) => {}
            }
        }
        self.ignore(first, group, reason);
        false
    }

    fn pair(&self, tensors: &[Tensor<'_>], module: &Module) -> std::result::Result<Pair, Reason> {
        let (factors, rank) = shapes::factors(tensors, module)?;
        let alpha = if let Some(tensor) = tensors.iter().find(|tensor| tensor.role == Role::Alpha) {
            Alpha { value: self.alpha(*tensor)?, source: AlphaSource::Tensor }
        } else {
            let is_large = module.shape[2..].iter().any(|side| *side > 1);
            match self.stated.alpha(module.component, &module.path, is_large) {
                Some(value) => Alpha { value, source: AlphaSource::Metadata },
                None => Alpha { value: rank as f64, source: AlphaSource::Rank },
            }
        };
        Ok(Pair::new(module, factors, rank, alpha, self.stated.is_rank_stabilized(module.component)))
    }

    fn alpha(&self, tensor: Tensor<'_>) -> std::result::Result<f64, Reason> {
        let bad = |why: String| Reason::BadAlpha { why };
        if elements(tensor.shape) != Some(1) {
            return Err(bad(format!("{} is {:?}, not one number", tensor.name, tensor.shape)));
        }
        let value = (self.scalar)(tensor.name).map_err(|error| bad(error.sentence))?;
        if value.is_finite() { Ok(f64::from(value)) } else { Err(bad(format!("{} is {value}", tensor.name))) }
    }

    fn ignore(&mut self, candidate: Option<usize>, group: &[Spelled<'_>], reason: Reason) {
        let Some(first) = group.first() else { return };
        let component = match candidate {
            Some(candidate) => Some(self.model.modules()[candidate].component),
            None => keys::component_of(first.stem).or(self.hint),
        };
        if let Some(component) = component {
            self.count(component).keys += group.len();
        }
        self.found.ignored.push(Ignored { name: first.stem.to_owned(), component, keys: group.len(), reason });
    }

    fn count(&mut self, component: Component) -> &mut ComponentFit {
        let none = ComponentFit { component, keys: 0, keys_matched: 0, modules: 0 };
        self.found.counts.entry(component).or_insert(none)
    }
}

fn has_roles_twice(group: &[Spelled<'_>]) -> bool {
    let mut roles = BTreeSet::new();
    let mut known = group.iter().map(|spelled| spelled.tensor.role).filter(|role| !matches!(role, Role::Refused(_)));
    !known.all(|role| roles.insert(role))
}

/// The width of the text that most of the file's cross-attention looks at.
fn text_width(groups: &Groups<'_>) -> Option<usize> {
    let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
    for spelled in groups.values().flatten().filter(|spelled| base::looks_at_text(spelled.stem)) {
        if let (Role::Down | Role::Hada(HadaFactor::W1B), [_, width, ..]) = (spelled.tensor.role, spelled.tensor.shape)
        {
            *widths.entry(*width).or_default() += 1;
        }
    }
    widths.into_iter().max_by_key(|(_, count)| *count).map(|(width, _)| width)
}

/// Whose names these are.
fn form(group: &[Spelled<'_>], module: &Module, model: &ModelModules) -> Form {
    let Some(first) = group.iter().find(|spelled| spelled.spelling != Spelling::Neutral) else { return Form::Kohya };
    let ldm = model.ldm_path(&module.path).filter(|_| module.component == Component::UNet);
    if keys::is_kohya(first.stem) {
        let is_ldm = ldm.is_some_and(|path| {
            path != module.path
                && kohya_prefixes(module.component).iter().any(|prefix| kohya_name(prefix, path) == first.stem)
        });
        return if is_ldm { Form::KohyaLdm } else { Form::Kohya };
    }
    let place = keys::place(first.stem);
    match first.spelling {
        _ if place.peft => Form::Peft,
        _ if ldm == Some(place.path) && place.path != module.path => Form::Ldm,
        Spelling::Processor => Form::DiffusersOld,
        Spelling::Dotted => Form::DiffusersDotted,
        _ if place.component.is_none() => Form::Peft,
        _ => Form::Diffusers,
    }
}

fn notes(pairs: &BTreeMap<usize, Pair>, forms: &BTreeMap<Form, usize>, base: &Base) -> Vec<String> {
    let mut notes = Vec::new();
    let silent = pairs.values().filter(|pair| pair.alpha.source == AlphaSource::Rank).count();
    if silent > 0 {
        let layers = if silent == 1 { "1 layer".to_owned() } else { format!("{silent} layers") };
        notes.push(format!("The file gives no alpha for {layers}: alpha = rank is assumed"));
    }
    if forms.len() > 1 {
        let names: Vec<String> = forms.iter().map(|(form, count)| format!("{form} {count}")).collect();
        notes.push(format!("The file mixes names of several makers: {}", names.join(", ")));
    }
    if let (Some(stated), Some(looks)) = (base.stated_family, base.looks)
        && stated != looks
    {
        notes.push(format!("The file says that it is for {stated}, but looks like one for {looks}"));
    }
    if let (Some(stated), None, Some(model)) = (base.stated_family, base.looks, base.model)
        && stated != model
    {
        notes.push(format!("The file says that it is for {stated}; this model is {model}"));
    }
    notes
}

/// All that decides whether a file is applied.
struct Judged<'a> {
    keys: usize,
    methods: &'a BTreeSet<Method>,
    faults: &'a [String],
    base: &'a Base,
    /// The width of the text, of the file and of the model.
    text_widths: (Option<usize>, Option<usize>),
    ignored: &'a [Ignored],
    pairs: &'a BTreeMap<usize, Pair>,
}

impl Judged<'_> {
    fn refusal(&self) -> Option<Refusal> {
        self.method().or_else(|| self.fault()).or_else(|| self.another_model()).or_else(|| self.nothing())
    }

    fn method(&self) -> Option<Refusal> {
        let names: Vec<String> = self.methods.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| {
            let sentence = format!("This adapter is of a kind that is not applied: {}", names.join(", "));
            refusal(sentence, "LoRA, LoCon and LoHa are applied; look for the adapter in one of these kinds")
        })
    }

    fn fault(&self) -> Option<Refusal> {
        let fault = self.faults.first()?;
        let sentence = format!("This adapter's configuration cannot be followed: {fault}");
        Some(refusal(sentence, "convert the file to diffusers' or kohya's form, or download it again"))
    }

    fn another_model(&self) -> Option<Refusal> {
        let other = self.base.looks.filter(|looks| self.base.model.is_some_and(|model| model != *looks));
        if let (Some(looks), Some(model)) = (other, self.base.model) {
            let sentence = format!("This LoRA was made for {looks}, and the model is {model}");
            return Some(refusal(sentence, &format!("choose a model of the family {looks}, or another LoRA")));
        }
        if let (Some(own), Some(models)) = self.text_widths
            && own != models
        {
            let sentence = format!(
                "This LoRA was made for another model: it looks at text of width {own}, the model at text of width {models}"
            );
            return Some(refusal(sentence, "choose the model that it was made for"));
        }
        Component::ALL.into_iter().find_map(|part| {
            let mut wrong = self.ignored.iter().filter(|ignored| {
                ignored.component == Some(part) && matches!(ignored.reason, Reason::WrongShape { .. })
            });
            let first = wrong.next()?;
            let wrong = 1 + wrong.count();
            let right = self.pairs.values().filter(|pair| pair.component == part).count();
            (wrong > right).then(|| {
                let sentence = format!(
                    "This LoRA was made for another model: {wrong} of its {} layers of the {part} do not fit ({}: {})",
                    wrong + right,
                    first.name,
                    first.reason
                );
                refusal(sentence, "choose the model that it was made for")
            })
        })
    }

    fn nothing(&self) -> Option<Refusal> {
        if !self.pairs.is_empty() {
            return None;
        }
        let adapters = self.ignored.iter().find(|ignored| ignored.reason != Reason::NotAnAdapterKey);
        Some(match adapters {
            Some(first) => refusal(
                format!("None of this LoRA's {} tensors fits the model ({}: {})", self.keys, first.name, first.reason),
                "it was made for another model, or is damaged",
            ),
            None => nothing_in_it(),
        })
    }
}

fn refusal(sentence: String, hint: &str) -> Refusal {
    Refusal { sentence, hint: hint.to_owned() }
}

fn nothing_in_it() -> Refusal {
    refusal("This file holds no LoRA".to_owned(), "if it is a whole model, open it under Models")
}
