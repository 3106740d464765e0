//! What a pickle describes: values, and the heap of those that hold others.
//!
//! Containers refer to each other by number, so a cycle or a tower of a million lists is only data: nothing here
//! recurses, not even when it is dropped. Texts stay in the file and are given as spans of it.

use safetensors::tensor::Dtype;

use super::globals::Global;
use super::refusal::{damaged, not_opened};
use crate::domain::Result;

/// Most containers, tensors and storages of one pickle. A training checkpoint of SDXL with its optimizer has 60,000.
const MAX_NODES: usize = 1 << 18;
/// Most items of all its containers together.
const MAX_ITEMS: usize = 1 << 20;

/// A stretch of the pickle's bytes, or of the heap's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// A stretch. Both numbers are below the limits of this reader, and those are below 2³².
    pub(super) fn new(start: usize, len: usize) -> Self {
        Self { start: start as u32, len: len as u32 }
    }

    /// What it covers of `all`, which is what it was made on.
    fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.start as usize..][..self.len as usize]
    }
}

/// One value. Those that hold others are numbers of nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than eight bytes, little-endian.
    Long(Span),
    Float(f64),
    /// Valid UTF-8.
    Text(Span),
    /// A string of Python 2: often UTF-8, sometimes raw bytes.
    Bytes(Span),
    Global(Global),
    Node(u32),
}

/// What holds other values.
#[derive(Debug)]
pub(super) enum Node {
    /// A span of the heap's items.
    Tuple(Span),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(Tensor),
    /// With its state, once it has one.
    ParameterDict(Value),
    /// Nothing that matters to a model.
    Inert,
}

/// The numbers that one or several tensors look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    /// The name under which the file has it.
    pub(super) key: Span,
    /// How many numbers the pickle says that it has.
    pub(super) numel: usize,
}

/// A view on a storage, checked to lie inside what the pickle says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// Its first number.
    pub(super) offset: usize,
    /// A tuple of integers, not negative.
    pub(super) sizes: Span,
    /// As many, in numbers, not bytes.
    pub(super) strides: Span,
}

/// All nodes of one pickle.
#[derive(Debug, Default)]
pub(super) struct Heap {
    nodes: Vec<Node>,
    /// What the tuples hold, one after the other: tuples never change.
    tuple_items: Vec<Value>,
    item_count: usize,
}

impl Heap {
    /// A new node.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn add(&mut self, node: Node) -> Result<Value> {
        if self.nodes.len() == MAX_NODES {
            return Err(not_opened(&format!("has more than {MAX_NODES} containers, far more than a model")));
        }
        self.nodes.push(node);
        Ok(Value::Node(self.nodes.len() as u32 - 1))
    }

    /// A new tuple.
    ///
    /// # Errors
    /// When there are too many, or too many items.
    pub(super) fn add_tuple(&mut self, items: impl ExactSizeIterator<Item = Value>) -> Result<Value> {
        self.count(items.len())?;
        let span = Span::new(self.tuple_items.len(), items.len());
        self.tuple_items.extend(items);
        self.add(Node::Tuple(span))
    }

    fn count(&mut self, more: usize) -> Result<()> {
        self.item_count = self.item_count.saturating_add(more);
        if self.item_count > MAX_ITEMS {
            return Err(not_opened(&format!("has more than {MAX_ITEMS} items, far more than a model")));
        }
        Ok(())
    }

    /// What a value refers to, if it is a node.
    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(id) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    /// Every node.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The items of a tuple.
    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::Tuple(span) => Some(span.of(&self.tuple_items)),
            _ => None,
        }
    }

    /// Where a tuple's items are.
    pub(super) fn tuple_span(&self, value: Value) -> Option<Span> {
        match self.node(value)? {
            Node::Tuple(span) => Some(*span),
            _ => None,
        }
    }

    /// The items at a span that [`Heap::tuple_span`] gave.
    pub(super) fn items(&self, span: Span) -> &[Value] {
        span.of(&self.tuple_items)
    }

    /// The items of a list or tuple.
    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::List(items) => Some(items),
            Node::Tuple(span) => Some(span.of(&self.tuple_items)),
            _ => None,
        }
    }

    /// The entries of a dictionary, in the order they came.
    pub(super) fn entries(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.node(value)? {
            Node::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// Adds to the end of a list.
    ///
    /// # Errors
    /// When it is no list, or there are too many items.
    pub(super) fn append(&mut self, list: Value, items: impl ExactSizeIterator<Item = Value>) -> Result<()> {
        self.count(items.len())?;
        match self.node_mut(list) {
            Some(Node::List(own)) => own.extend(items),
            Some(Node::Inert) => {}
            _ => return Err(damaged("its pickle appends to what is no list")),
        }
        Ok(())
    }

    /// Adds keys and values, in turns, to a dictionary.
    ///
    /// # Errors
    /// When it is no dictionary, a value is missing, or there are too many items.
    pub(super) fn set_items(&mut self, dict: Value, items: &[Value]) -> Result<()> {
        self.count(items.len())?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(damaged("a dictionary of its pickle has a key without a value"));
        }
        match self.node_mut(dict) {
            Some(Node::Dict(own)) => own.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Some(Node::Inert) => {}
            _ => return Err(damaged("its pickle sets an item of what is no dictionary")),
        }
        Ok(())
    }

    /// Gives an object its state. Only a `ParameterDict` keeps it: a dictionary's is the version of its modules.
    ///
    /// # Errors
    /// When it is nothing that has a state.
    pub(super) fn set_state(&mut self, object: Value, state: Value) -> Result<()> {
        match self.node_mut(object) {
            Some(Node::ParameterDict(own)) => *own = state,
            Some(Node::Dict(_) | Node::Inert) => {}
            _ => return Err(damaged("its pickle gives a state to what has none")),
        }
        Ok(())
    }

    fn node_mut(&mut self, value: Value) -> Option<&mut Node> {
        match value {
            Value::Node(id) => self.nodes.get_mut(id as usize),
            _ => None,
        }
    }
}

/// A pickle that was read: its object, and the bytes that its texts lie in.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) heap: Heap,
    pub(super) root: Value,
}

impl<'a> Pickle<'a> {
    /// The bytes at a span.
    pub(super) fn slice(&self, span: Span) -> &'a [u8] {
        span.of(self.bytes)
    }

    /// A value as text, if it is one.
    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        text(self.bytes, value)
    }
}

/// The bytes of a text or a Python 2 string, if the value is one.
pub(super) fn raw_text(bytes: &[u8], value: Value) -> Option<&[u8]> {
    match value {
        Value::Text(span) | Value::Bytes(span) => Some(span.of(bytes)),
        _ => None,
    }
}

/// A value as text, if it is one. The bytes are those of its pickle.
pub(super) fn text(bytes: &[u8], value: Value) -> Option<&str> {
    std::str::from_utf8(raw_text(bytes, value)?).ok()
}
