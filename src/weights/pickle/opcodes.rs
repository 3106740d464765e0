//! The instructions of a pickle, by the names of Python's `Lib/pickletools.py`.

macro_rules! opcodes {
    ($($name:ident = $code:literal,)*) => {
        $(pub(super) const $name: u8 = $code;)*
    };
}

// Those that are carried out.
opcodes! {
    PROTO = 0x80,
    FRAME = 0x95,
    STOP = b'.',
    GLOBAL = b'c',
    STACK_GLOBAL = 0x93,
    REDUCE = b'R',
    BUILD = b'b',
    NEWOBJ = 0x81,
    MARK = b'(',
    TUPLE = b't',
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    EMPTY_TUPLE = b')',
    EMPTY_LIST = b']',
    EMPTY_DICT = b'}',
    EMPTY_SET = 0x8f,
    APPEND = b'a',
    APPENDS = b'e',
    SETITEM = b's',
    SETITEMS = b'u',
    NONE = b'N',
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    BININT = b'J',
    BININT1 = b'K',
    BININT2 = b'M',
    LONG1 = 0x8a,
    BINFLOAT = b'G',
    BINUNICODE = b'X',
    SHORT_BINUNICODE = 0x8c,
    SHORT_BINSTRING = b'U',
    BINPERSID = b'Q',
    BINGET = b'h',
    LONG_BINGET = b'j',
    BINPUT = b'q',
    LONG_BINPUT = b'r',
    MEMOIZE = 0x94,
    INST = b'i',
}

/// Those that are not, for the message.
pub(super) fn refused_name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        b'o' => "OBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x92 => "NEWOBJ_EX",
        b'P' => "PERSID",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'g' => "GET",
        b'p' => "PUT",
        b'I' => "INT",
        b'L' => "LONG",
        0x8b => "LONG4",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'V' => "UNICODE",
        0x8d => "BINUNICODE8",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x8e => "BINBYTES8",
        b'l' => "LIST",
        b'd' => "DICT",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return None,
    })
}
