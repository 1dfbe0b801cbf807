//! Fuzz input as a list of small things: what a target that plays through several steps is made of.
//!
//! The format is chosen for a fuzzer that flips, cuts and splices bytes: every input means something, a
//! number is as short as it is small, and what is cut off reads as zeros.

/// Reads a script.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The script in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// A number, seven bits a byte, the lowest first, as in protobuf; what does not fit is cut off.
    pub fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    /// A length and that many bytes, or as many as there are.
    pub fn chunk(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let (chunk, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        chunk
    }

    /// A chunk as text; what is no UTF-8 is replaced.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.chunk()).into_owned()
    }

    /// As many bytes as the array has; what is missing is zero.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Plays a script whose steps each begin with the number of their kind, to its end or for so many steps.
pub(crate) fn play<S: Copy>(
    data: &[u8],
    kinds: &[S],
    steps: usize,
    mut step: impl FnMut(S, &mut Script<'_>),
) {
    let mut script = Script::new(data);
    for _ in 0..steps {
        if script.is_empty() {
            break;
        }
        let kind = kinds[usize::from(script.byte()) % kinds.len()];
        step(kind, &mut script);
    }
}

/// Writes what [`Script`] reads: for seeds.
#[derive(Clone, Debug, Default)]
pub struct ScriptWriter(Vec<u8>);

impl ScriptWriter {
    /// One byte.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// A number.
    #[must_use]
    pub fn number(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.byte(number.to_le_bytes()[0])
    }

    /// A chunk.
    #[must_use]
    pub fn chunk(self, chunk: impl AsRef<[u8]>) -> Self {
        let chunk = chunk.as_ref();
        self.number(chunk.len() as u64).raw(chunk)
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_was_written() {
        let bytes = ScriptWriter::default()
            .byte(7)
            .number(u64::MAX)
            .chunk("four")
            .number(300)
            .raw([1, 2])
            .finish();
        let mut script = Script::new(&bytes);
        assert_eq!((script.byte(), script.number()), (7, u64::MAX));
        assert_eq!((script.chunk(), script.number()), (b"four".as_slice(), 300));
        assert_eq!(script.array::<3>(), [1, 2, 0]);
        assert!(script.is_empty());
        assert_eq!(
            (script.byte(), script.number(), script.chunk()),
            (0, 0, b"".as_slice())
        );
    }
}
