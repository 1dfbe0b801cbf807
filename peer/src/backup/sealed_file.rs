//! The file: a header, and chunks sealed one after the other.
//!
//! ```text
//! "tincan backup 1\n" | memory_kib u32 | passes u32 | lanes u32 | salt[16] | nonce[19]      big-endian
//! chunk: ciphertext | tag[16], of 64 KiB of plaintext; only the last one has less, or none
//! ```
//!
//! Each chunk's nonce has its number and whether it is the last one, so none can be left out, moved or repeated, and
//! nothing cut off. The header is associated data of all of them.

use std::io::{self, ErrorKind, Read, Write};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::Payload;

use crate::store::Cost;

const MAGIC: &[u8; 16] = b"tincan backup 1\n";

const SALT_LEN: usize = 16;

/// What is left of XChaCha20's 24 bytes beside a chunk's number and whether it is the last.
const NONCE_LEN: usize = 19;

const HEADER_LEN: usize = MAGIC.len() + 12 + SALT_LEN + NONCE_LEN;

/// Plaintext in a chunk, bytes.
const CHUNK: usize = 64 * 1024;

const TAG_LEN: usize = 16;

/// Why a header opens nothing.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It is something else.
    NotABackup,
    /// The costs that it names are out of bounds.
    Cost(argon2::Error),
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Seals what is written into it.
pub(super) struct SealedWriter<W> {
    inner: W,
    header: [u8; HEADER_LEN],
    stream: EncryptorBE32<XChaCha20Poly1305>,
    chunk: Vec<u8>,
    written: u64,
}

impl<W: Write> SealedWriter<W> {
    pub(super) fn new(mut inner: W, passphrase: &str) -> io::Result<Self> {
        let (cost, salt, nonce): (_, [u8; SALT_LEN], [u8; NONCE_LEN]) =
            (Cost::CHOSEN, rand::random(), rand::random());
        let mut header = [0; HEADER_LEN];
        let mut rest = header.as_mut_slice();
        rest.write_all(MAGIC)?;
        for number in [cost.memory_kib, cost.passes, cost.lanes] {
            rest.write_all(&number.to_be_bytes())?;
        }
        rest.write_all(&salt)?;
        rest.write_all(&nonce)?;
        let key = cost.derive(passphrase, &salt).map_err(io::Error::other)?;
        inner.write_all(&header)?;
        Ok(Self {
            inner,
            header,
            stream: EncryptorBE32::new((&*key).into(), &nonce.into()),
            chunk: Vec::with_capacity(CHUNK),
            written: HEADER_LEN as u64,
        })
    }

    /// Seals the last chunk; returns what was written to, and how many bytes.
    pub(super) fn finish(self) -> io::Result<(W, u64)> {
        let Self {
            mut inner,
            header,
            stream,
            chunk,
            written,
        } = self;
        let payload = Payload {
            msg: &chunk,
            aad: &header,
        };
        let sealed = stream.encrypt_last(payload).map_err(io::Error::other)?;
        inner.write_all(&sealed)?;
        Ok((inner, written + sealed.len() as u64))
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is sealed when more comes: it may be the last one.
        if self.chunk.len() == CHUNK {
            let payload = Payload {
                msg: &self.chunk,
                aad: &self.header,
            };
            let sealed = self
                .stream
                .encrypt_next(payload)
                .map_err(io::Error::other)?;
            self.inner.write_all(&sealed)?;
            self.written += sealed.len() as u64;
            self.chunk.clear();
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads what was sealed. Its end is the end of what was written, or an error.
pub(super) struct SealedReader<R> {
    inner: R,
    header: [u8; HEADER_LEN],
    /// None after the last chunk.
    stream: Option<DecryptorBE32<XChaCha20Poly1305>>,
    chunk: Vec<u8>,
    read: usize,
    /// What stands behind the chunk: whether there is more shows which one is the last.
    next: Vec<u8>,
    is_first: bool,
}

impl<R: Read> SealedReader<R> {
    pub(super) fn new(mut inner: R, passphrase: &str) -> Result<Self, OpenError> {
        let mut header = [0; HEADER_LEN];
        match inner.read_exact(&mut header) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(OpenError::NotABackup);
            }
            result => result?,
        }
        let mut fields = header.as_slice();
        let mut magic = [0; MAGIC.len()];
        fields.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(OpenError::NotABackup);
        }
        let mut numbers = [0; 3];
        for number in &mut numbers {
            let mut bytes = [0; 4];
            fields.read_exact(&mut bytes)?;
            *number = u32::from_be_bytes(bytes);
        }
        let [memory_kib, passes, lanes] = numbers;
        let cost = Cost {
            memory_kib,
            passes,
            lanes,
        };
        let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
        fields.read_exact(&mut salt)?;
        fields.read_exact(&mut nonce)?;
        let key = cost.derive(passphrase, &salt).map_err(OpenError::Cost)?;
        let mut reader = Self {
            inner,
            header,
            stream: Some(DecryptorBE32::new((&*key).into(), &nonce.into())),
            chunk: Vec::new(),
            read: 0,
            next: Vec::new(),
            is_first: true,
        };
        reader.next = reader.read_sealed()?;
        Ok(reader)
    }

    /// Whether the passphrase opens anything.
    pub(super) fn opens(&mut self) -> io::Result<bool> {
        match self.fill() {
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(false),
            result => result.map(|()| true),
        }
    }

    fn read_sealed(&mut self) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(CHUNK + TAG_LEN);
        let limit = (CHUNK + TAG_LEN) as u64;
        self.inner.by_ref().take(limit).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// Opens the next chunk if this one is read; after the last one there is none.
    fn fill(&mut self) -> io::Result<()> {
        if self.read < self.chunk.len() {
            return Ok(());
        }
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        let sealed = std::mem::take(&mut self.next);
        self.next = self.read_sealed()?;
        let payload = Payload {
            msg: &sealed,
            aad: &self.header,
        };
        let opened = if self.next.is_empty() {
            stream.decrypt_last(payload)
        } else {
            let opened = stream.decrypt_next(payload);
            self.stream = Some(stream);
            opened
        };
        let place = if self.is_first { "first" } else { "a later" };
        let error = || {
            let text = format!("its {place} part was changed, or what follows is missing");
            io::Error::new(ErrorKind::InvalidData, text)
        };
        self.chunk = opened.map_err(|_| error())?;
        (self.read, self.is_first) = (0, false);
        Ok(())
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let rest = self.chunk.get(self.read..).unwrap_or_default();
        let taken = rest.len().min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(rest) {
            *to = *from;
        }
        self.read += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::new(Vec::new(), "correct horse").unwrap();
        writer.write_all(plain).unwrap();
        let (file, bytes) = writer.finish().unwrap();
        assert_eq!(file.len() as u64, bytes);
        file
    }

    fn opened(file: &[u8]) -> Result<Vec<u8>, String> {
        let reader = SealedReader::new(file, "correct horse");
        let mut reader = reader.map_err(|error| format!("{error:?}"))?;
        let mut plain = Vec::new();
        let read = reader.read_to_end(&mut plain);
        read.map_err(|error| error.to_string())?;
        Ok(plain)
    }

    #[test]
    fn what_was_sealed_is_read_again_whatever_its_length() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..len).map(|n| n as u8).collect();
            assert!(opened(&sealed(&plain)) == Ok(plain), "{len}");
        }
    }

    #[test]
    fn whatever_is_changed_cut_off_or_moved_is_found() {
        let file = sealed(&vec![7; 2 * CHUNK + 100]);
        let chunk = CHUNK + TAG_LEN;
        let places = [
            0,
            MAGIC.len() + 11,
            HEADER_LEN - 1,
            HEADER_LEN,
            HEADER_LEN + chunk,
            file.len() - 1,
        ];
        for place in places {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(opened(&changed).is_err(), "{place}");
        }
        for len in [
            10,
            HEADER_LEN,
            HEADER_LEN + chunk,
            HEADER_LEN + 2 * chunk,
            file.len() - 1,
        ] {
            assert!(opened(&file[..len]).is_err(), "{len}");
        }
        let (head, rest) = file.split_at(HEADER_LEN);
        let (first, rest) = rest.split_at(chunk);
        let (second, last) = rest.split_at(chunk);
        assert!(opened(&[head, second, first, last].concat()).is_err());
        assert!(opened(&[head, first, last].concat()).is_err());
        assert!(opened(&[head, first, second, last, last].concat()).is_err());
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        let file = sealed(b"secret");
        let mut reader = SealedReader::new(file.as_slice(), "wrong horse").unwrap();
        assert!(!reader.opens().unwrap());
        let mut reader = SealedReader::new(file.as_slice(), "correct horse").unwrap();
        assert!(reader.opens().unwrap());
    }

    #[test]
    fn a_header_that_asks_for_too_much_is_refused() {
        let mut file = sealed(b"");
        file[MAGIC.len()] = 0x7f;
        let opened = SealedReader::new(file.as_slice(), "correct horse");
        assert!(matches!(opened, Err(OpenError::Cost(_))));
    }
}
