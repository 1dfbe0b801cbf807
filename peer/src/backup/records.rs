//! What is sealed: one row after the other, with its length before it. The first one says what follows.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use prost::Message;

/// Longest record, bytes. Chosen: a contact's row with a request in it has less than 5 MiB.
const RECORD_MAX: u64 = 16 * 1024 * 1024;

/// The first record.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Head {
    /// Version of the tables.
    #[prost(uint64, tag = "1")]
    pub(super) schema: u64,
}

/// A row of a table.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Row {
    #[prost(string, tag = "1")]
    pub(super) table: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) value: Bytes,
}

pub(super) fn write(to: &mut impl Write, record: &impl Message) -> io::Result<()> {
    let len = record.encoded_len() as u64;
    if len > RECORD_MAX {
        return Err(malformed(format!("a record has {len} bytes")));
    }
    to.write_all(&record.encode_length_delimited_to_vec())
}

/// None at the end.
pub(super) fn read<T: Message + Default>(from: &mut impl Read) -> io::Result<Option<T>> {
    let Some(len) = read_len(from)? else {
        return Ok(None);
    };
    if len > RECORD_MAX {
        return Err(malformed(format!("a record has {len} bytes")));
    }
    let mut bytes = Vec::new();
    from.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != len {
        return Err(malformed("it ends within a record"));
    }
    T::decode(bytes.as_slice())
        .map(Some)
        .map_err(|error| malformed(error.to_string()))
}

/// A varint, byte by byte.
fn read_len(from: &mut impl Read) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        if from.read(&mut byte)? == 0 {
            return match bytes.is_empty() {
                true => Ok(None),
                false => Err(malformed("it ends within a record")),
            };
        }
        bytes.extend(byte);
        let [byte] = byte;
        if byte < 0x80 {
            return prost::decode_length_delimiter(bytes.as_slice())
                .map(|len| Some(len as u64))
                .map_err(|error| malformed(error.to_string()));
        }
        if bytes.len() >= 10 {
            return Err(malformed("a record's length is none"));
        }
    }
}

fn malformed(text: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_follow_one_another_until_the_end() {
        let head = Head { schema: 300 };
        let row = Row {
            table: "timeline".to_owned(),
            key: Bytes::from_static(b"k"),
            value: vec![7; 300].into(),
        };
        let mut file = Vec::new();
        write(&mut file, &head).unwrap();
        write(&mut file, &row).unwrap();
        let mut from = file.as_slice();
        assert_eq!(read::<Head>(&mut from).unwrap(), Some(head));
        assert_eq!(read::<Row>(&mut from).unwrap(), Some(row));
        assert_eq!(read::<Row>(&mut from).unwrap(), None);
        for len in 1..file.len() {
            let mut cut = &file[..len];
            let all = std::iter::from_fn(|| read::<Row>(&mut cut).transpose());
            let is_there = all.collect::<io::Result<Vec<Row>>>();
            assert!(is_there.is_err() || len == 4, "{len}");
        }
    }

    #[test]
    fn a_length_that_nobody_writes_is_refused() {
        for bytes in [&[0xff; 10][..], &[0xff, 0xff, 0xff, 0x7f], &[0x80]] {
            let mut from = bytes;
            assert!(read::<Row>(&mut from).is_err(), "{bytes:?}");
        }
    }
}
