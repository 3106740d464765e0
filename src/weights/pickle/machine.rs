//! The pickle machine: follows the instructions of one pickle and leaves a heap of inert values. It cannot call.
//!
//! Instructions: Python's `Lib/pickletools.py`, protocols 2 to 5, and of those what published checkpoints use. Memory
//! is bounded by the number of instructions, never by a length that the file claims: texts are not copied, and every
//! table has a limit.

use std::collections::HashMap;

use super::globals::Global;
use super::opcodes as op;
use super::rebuild;
use super::refusal::{cut_off, damaged, not_opened, printable, wants_to_run};
use super::value::{Heap, Node, Pickle, Span, Value, raw_text};
use crate::domain::Result;

/// Longest pickle that is followed. That of SDXL with 2,500 tensors has 0.4 MB.
pub(super) const MAX_PICKLE_BYTES: usize = 64 << 20;
/// Most instructions. A tensor takes about 32.
const MAX_STEPS: usize = 1 << 22;
/// Most values waiting on the stack.
const MAX_STACK: usize = 1 << 18;
/// Most marks open at once, each a container begun inside another.
const MAX_MARKS: usize = 256;
/// Most remembered values.
const MAX_MEMO: usize = 1 << 19;
/// Longest text.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// Longest name of a module or of something in it.
const MAX_GLOBAL_BYTES: usize = 256;
/// The newest protocol there is.
const MAX_PROTOCOL: u8 = 5;

/// Follows the pickle at the start of `bytes`. Also gives how many bytes it took.
///
/// # Errors
/// When it asks for anything but data, is broken or cut off, or is larger than any model's.
pub(super) fn run(bytes: &[u8]) -> Result<(Pickle<'_>, usize)> {
    let bytes = &bytes[..bytes.len().min(MAX_PICKLE_BYTES)];
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), heap: Heap::default() };
    for _ in 0..MAX_STEPS {
        let opcode = machine.byte()?;
        if opcode == op::STOP {
            let root = machine.pop()?;
            return Ok((Pickle { bytes, heap: machine.heap, root }, machine.at));
        }
        machine.step(opcode)?;
    }
    Err(not_opened(&format!("takes more than {MAX_STEPS} steps to read, far more than a model")))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// How high the stack was at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    heap: Heap,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::PROTO => {
                let protocol = self.byte()?;
                if protocol > MAX_PROTOCOL {
                    return Err(damaged(format!("its pickle has the unknown protocol {protocol}")));
                }
                Ok(())
            }
            // Says how many bytes may be read at once; the bytes are all here.
            op::FRAME => self.array::<8>().map(|_| ()),
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(module, name)
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let bytes = self.bytes;
                match (raw_text(bytes, module), raw_text(bytes, name)) {
                    (Some(module), Some(name)) => self.push_global(module, name),
                    _ => Err(damaged("its pickle refers to a name that is no text")),
                }
            }
            op::INST => {
                let (module, name) = (self.line()?, self.line()?);
                Err(wants_to_run(&dotted(module, name)))
            }
            op::REDUCE => self.reduce(),
            op::NEWOBJ => self.new_object(),
            op::BUILD => {
                let state = self.pop()?;
                let object = self.top()?;
                self.heap.set_state(object, state)
            }
            op::BINPERSID => {
                let id = self.pop()?;
                let value = rebuild::persistent(&mut self.heap, self.bytes, id)?;
                self.push(value)
            }
            op::MARK => {
                if self.marks.len() == MAX_MARKS {
                    return Err(not_opened(&format!("nests more than {MAX_MARKS} deep")));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::TUPLE => {
                let mark = self.pop_mark()?;
                let tuple = self.heap.add_tuple(self.stack.drain(mark..))?;
                self.push(tuple)
            }
            op::TUPLE1 => self.short_tuple(1),
            op::TUPLE2 => self.short_tuple(2),
            op::TUPLE3 => self.short_tuple(3),
            op::EMPTY_TUPLE => self.short_tuple(0),
            op::EMPTY_LIST => self.push_node(Node::List(Vec::new())),
            op::EMPTY_DICT => self.push_node(Node::Dict(Vec::new())),
            op::EMPTY_SET => self.push_node(Node::Inert),
            op::APPEND => {
                let item = self.pop()?;
                let list = self.top()?;
                self.heap.append(list, std::iter::once(item))
            }
            op::APPENDS => {
                let mark = self.pop_mark()?;
                let list = self.below(mark)?;
                self.heap.append(list, self.stack.drain(mark..))
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                let dict = self.top()?;
                self.heap.set_items(dict, &[key, value])
            }
            op::SETITEMS => {
                let mark = self.pop_mark()?;
                let dict = self.below(mark)?;
                self.heap.set_items(dict, &self.stack[mark..])?;
                self.stack.truncate(mark);
                Ok(())
            }
            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BININT => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))
            }
            op::BININT1 => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()))
            }
            op::BININT2 => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))
            }
            op::LONG1 => self.long(),
            op::BINFLOAT => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(value))
            }
            op::BINUNICODE => {
                let len = u32::from_le_bytes(self.array()?);
                self.unicode(len as usize)
            }
            op::SHORT_BINUNICODE => {
                let len = self.byte()?;
                self.unicode(len.into())
            }
            op::SHORT_BINSTRING => {
                let len = self.byte()?;
                let span = self.span(len.into())?;
                self.push(Value::Bytes(span))
            }
            op::BINGET => {
                let index = self.byte()?;
                self.get(index.into())
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.array()?);
                self.get(index)
            }
            op::BINPUT => {
                let index = self.byte()?;
                self.put(index.into())
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.array()?);
                self.put(index)
            }
            // The memo has at most MAX_MEMO entries, which fits.
            op::MEMOIZE => self.put(self.memo.len() as u32),
            other => Err(match op::refused_name(other) {
                Some(name) => not_opened(&format!("uses the pickle instruction {name}, which no model needs")),
                None => {
                    damaged(format!("its pickle has the unknown instruction 0x{other:02x} at byte {}", self.at - 1))
                }
            }),
        }
    }

    /// A name from the list goes on the stack; any other ends the reading.
    fn push_global(&mut self, module: &[u8], name: &[u8]) -> Result<()> {
        let global = Global::find(module, name).ok_or_else(|| wants_to_run(&dotted(module, name)))?;
        self.push(Value::Global(global))
    }

    /// What PyTorch would build by a call.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(global) = callee else { return Err(damaged("its pickle calls what is no name")) };
        let value = match global {
            Global::OrderedDict => rebuild::ordered_dict(&mut self.heap, arguments)?,
            Global::RebuildTensor => rebuild::tensor(&mut self.heap, arguments)?,
            Global::RebuildParameter => rebuild::parameter(&self.heap, arguments)?,
            Global::ParameterDict => self.heap.add(Node::ParameterDict(Value::None))?,
            Global::Inert => self.heap.add(Node::Inert)?,
            Global::Storage(_) => return Err(damaged("its pickle builds a storage by a call")),
        };
        self.push(value)
    }

    fn new_object(&mut self) -> Result<()> {
        let (_arguments, class) = (self.pop()?, self.pop()?);
        let node = match class {
            Value::Global(Global::OrderedDict) => Node::Dict(Vec::new()),
            Value::Global(Global::ParameterDict) => Node::ParameterDict(Value::None),
            Value::Global(Global::Inert) => Node::Inert,
            _ => return Err(damaged("its pickle makes an object of what is no class")),
        };
        self.push_node(node)
    }

    /// Integers of any length, two's complement, little-endian; no bytes mean 0.
    fn long(&mut self) -> Result<()> {
        let len = self.byte()?;
        let span = self.span(len.into())?;
        let bytes = &self.bytes[self.at - usize::from(len)..self.at];
        if bytes.len() > 8 {
            return self.push(Value::Long(span));
        }
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        word[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(word)))
    }

    fn unicode(&mut self, len: usize) -> Result<()> {
        let start = self.at;
        if len > MAX_TEXT_BYTES && len <= self.bytes.len() - start {
            return Err(not_opened(&format!("holds a text of {len} bytes, far longer than a model's")));
        }
        let span = self.span(len)?;
        if std::str::from_utf8(&self.bytes[start..self.at]).is_err() {
            return Err(damaged("a text of its pickle is not UTF-8"));
        }
        self.push(Value::Text(span))
    }

    fn short_tuple(&mut self, len: usize) -> Result<()> {
        let start = self.stack.len().checked_sub(len).filter(|start| *start >= self.floor()).ok_or_else(too_few)?;
        let tuple = self.heap.add_tuple(self.stack.drain(start..))?;
        self.push(tuple)
    }

    fn get(&mut self, index: u32) -> Result<()> {
        let value = *self.memo.get(&index).ok_or_else(|| damaged("its pickle asks for what it never remembered"))?;
        self.push(value)
    }

    fn put(&mut self, index: u32) -> Result<()> {
        let value = self.top()?;
        if self.memo.len() == MAX_MEMO && !self.memo.contains_key(&index) {
            return Err(not_opened(&format!("remembers more than {MAX_MEMO} values, far more than a model")));
        }
        self.memo.insert(index, value);
        Ok(())
    }

    fn push_node(&mut self, node: Node) -> Result<()> {
        let value = self.heap.add(node)?;
        self.push(value)
    }

    fn push(&mut self, value: Value) -> Result<()> {
        if self.stack.len() == MAX_STACK {
            return Err(not_opened(&format!("piles up more than {MAX_STACK} values, far more than a model")));
        }
        self.stack.push(value);
        Ok(())
    }

    /// How far down the stack an instruction may reach: to the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn top(&self) -> Result<Value> {
        self.stack[self.floor()..].last().copied().ok_or_else(too_few)
    }

    /// Closes the last mark and gives where it was.
    fn pop_mark(&mut self) -> Result<usize> {
        self.marks.pop().ok_or_else(|| damaged("its pickle closes what it never opened"))
    }

    /// The value under a mark that was just closed.
    fn below(&self, mark: usize) -> Result<Value> {
        self.stack[self.floor()..mark].last().copied().ok_or_else(too_few)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = *self.bytes[self.at..].first_chunk::<N>().ok_or_else(|| self.ended())?;
        self.at += N;
        Ok(array)
    }

    /// The next `len` bytes, passed over.
    fn span(&mut self, len: usize) -> Result<Span> {
        if len > self.bytes.len() - self.at {
            return Err(self.ended());
        }
        let span = Span::new(self.at, len);
        self.at += len;
        Ok(span)
    }

    /// The bytes up to a line feed, without it.
    fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let shown = &rest[..rest.len().min(MAX_GLOBAL_BYTES + 1)];
        match shown.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.at += end + 1;
                Ok(&rest[..end])
            }
            None if shown.len() > MAX_GLOBAL_BYTES => Err(damaged("a name in its pickle is too long")),
            None => Err(self.ended()),
        }
    }

    fn ended(&self) -> crate::domain::UserError {
        if self.bytes.len() == MAX_PICKLE_BYTES {
            not_opened(&format!("has a pickle of more than {} MiB, far more than a model", MAX_PICKLE_BYTES >> 20))
        } else {
            cut_off()
        }
    }
}

fn too_few() -> crate::domain::UserError {
    damaged("its pickle takes more values than it has")
}

fn dotted(module: &[u8], name: &[u8]) -> String {
    format!("{}.{}", printable(module), printable(name))
}
