//! The state as rows, with transactions and a list of what changed.
//!
//! Everything openmls keeps is one row each: a key of one byte for the table and the entity's key
//! as JSON, a value of JSON (openmls wants a self-describing format). A [`Transaction`] reads
//! through to the rows and collects writes beside them; [`Rows::apply`] makes them count. Dropping
//! it is the rollback.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// A changed row of the state, to be written in the caller's transaction.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Key, below 512 bytes. It holds ids and public keys, no secrets.
    pub key: Vec<u8>,
    /// The row's new content, which holds secrets; none: the row is deleted.
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("table", &self.key.first())
            .field("key_len", &self.key.len())
            .field("value_len", &self.value.as_ref().map(Vec::len))
            .finish()
    }
}

/// What a row holds. The number is the first byte of its key and so part of the stored format:
/// never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    KeyPackage = 1,
    JoinConfig = 2,
    OwnLeafNodes = 3,
    ProposalRefs = 4,
    Proposal = 5,
    Tree = 6,
    InterimTranscriptHash = 7,
    Context = 8,
    ConfirmationTag = 9,
    GroupState = 10,
    MessageSecrets = 11,
    ResumptionPsks = 12,
    OwnLeafIndex = 13,
    EpochSecrets = 14,
    EpochKeyPairs = 15,
    SignatureKeyPair = 16,
    EncryptionKeyPair = 17,
    Psk = 18,
}

impl Table {
    /// An entity as JSON that can be compared without knowing its type.
    pub(crate) fn value(self, entity: &impl Serialize) -> Result<serde_json::Value, RowError> {
        serde_json::to_value(entity).map_err(|source| RowError {
            table: self,
            source,
        })
    }

    fn key(self, entity: &impl Serialize) -> Result<Vec<u8>, RowError> {
        let mut key = vec![self as u8];
        serde_json::to_writer(&mut key, entity).map_err(|source| RowError {
            table: self,
            source,
        })?;
        Ok(key)
    }
}

/// A row could not be written or read as JSON.
#[derive(Debug, thiserror::Error)]
#[error("row of table {table:?} is damaged")]
pub(crate) struct RowError {
    table: Table,
    source: serde_json::Error,
}

type Value = Zeroizing<Vec<u8>>;

/// Writes of a [`Transaction`] that wait for [`Rows::apply`].
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<Vec<u8>, Option<Value>>);

#[derive(Default)]
pub(crate) struct Rows {
    rows: BTreeMap<Vec<u8>, Value>,
    changed: BTreeSet<Vec<u8>>,
}

impl Rows {
    pub(crate) fn load(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let rows = rows
            .into_iter()
            .map(|(key, value)| (key, Zeroizing::new(value)))
            .collect();
        Self {
            rows,
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn begin(&self) -> Transaction<'_> {
        Transaction {
            rows: self,
            changes: RefCell::default(),
        }
    }

    pub(crate) fn apply(&mut self, changes: Changes) {
        for (key, value) in changes.0 {
            match value {
                Some(value) => self.rows.insert(key.clone(), value),
                None => self.rows.remove(&key),
            };
            self.changed.insert(key);
        }
    }

    /// The rows changed since the last call, as they are now.
    pub(crate) fn take_changes(&mut self) -> Vec<Row> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|key| Row {
                value: self.rows.get(&key).map(|value| value.to_vec()),
                key,
            })
            .collect()
    }

    /// The keys of a table's rows, as JSON.
    pub(crate) fn keys(&self, table: Table) -> impl Iterator<Item = &[u8]> {
        self.table(table).map(|(key, _)| key)
    }

    /// The keys of a table's rows, as JSON, with their values.
    pub(crate) fn table(&self, table: Table) -> impl Iterator<Item = (&[u8], &[u8])> {
        let first = table as u8;
        self.rows
            .range(vec![first]..vec![first + 1])
            .map(|(key, value)| (key.get(1..).unwrap_or_default(), value.as_slice()))
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Reads the rows, collects writes beside them.
pub(crate) struct Transaction<'a> {
    rows: &'a Rows,
    changes: RefCell<Changes>,
}

impl Transaction<'_> {
    pub(crate) fn into_changes(self) -> Changes {
        self.changes.into_inner()
    }

    pub(crate) fn write(
        &self,
        table: Table,
        key: &impl Serialize,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), RowError> {
        let value = serde_json::to_vec(value).map_err(|source| RowError { table, source })?;
        self.change(table.key(key)?, Some(Zeroizing::new(value)));
        Ok(())
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &impl Serialize,
    ) -> Result<Option<T>, RowError> {
        let key = table.key(key)?;
        let changes = self.changes.borrow();
        let value = match changes.0.get(&key) {
            Some(changed) => changed.as_ref(),
            None => self.rows.rows.get(&key),
        };
        value
            .map(|value| serde_json::from_slice(value))
            .transpose()
            .map_err(|source| RowError { table, source })
    }

    /// Deletes a row; one that does not exist is not a change.
    pub(crate) fn delete(&self, table: Table, key: &impl Serialize) -> Result<(), RowError> {
        let key = table.key(key)?;
        if self.rows.rows.contains_key(&key) {
            self.change(key, None);
        } else {
            self.changes.borrow_mut().0.remove(&key);
        }
        Ok(())
    }

    fn change(&self, key: Vec<u8>, value: Option<Value>) {
        self.changes.borrow_mut().0.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table::Psk;

    fn apply(rows: &mut Rows, write: impl FnOnce(&Transaction<'_>)) {
        let transaction = rows.begin();
        write(&transaction);
        let changes = transaction.into_changes();
        rows.apply(changes);
    }

    #[test]
    fn a_transaction_sees_its_own_writes_and_leaves_none_when_it_is_dropped() {
        let mut rows = Rows::default();
        apply(&mut rows, |t| t.write(TABLE, &1, "old").unwrap());
        let _ = rows.take_changes();

        let transaction = rows.begin();
        transaction.write(TABLE, &1, "new").unwrap();
        transaction.write(TABLE, &2, "more").unwrap();
        assert_eq!(transaction.read(TABLE, &1).unwrap(), Some("new".to_owned()));
        transaction.delete(TABLE, &1).unwrap();
        assert_eq!(transaction.read::<String>(TABLE, &1).unwrap(), None);
        drop(transaction);

        assert_eq!(
            rows.begin().read(TABLE, &1).unwrap(),
            Some("old".to_owned())
        );
        assert_eq!(rows.begin().read::<String>(TABLE, &2).unwrap(), None);
        assert_eq!(rows.take_changes(), []);
    }

    #[test]
    fn changes_are_the_last_value_of_each_touched_row() {
        let mut rows = Rows::default();
        apply(&mut rows, |t| t.write(TABLE, &1, "one").unwrap());
        apply(&mut rows, |t| t.write(TABLE, &2, "two").unwrap());
        apply(&mut rows, |t| t.write(TABLE, &1, "uno").unwrap());
        apply(&mut rows, |t| t.delete(TABLE, &2).unwrap());
        apply(&mut rows, |t| t.delete(TABLE, &3).unwrap());
        let key = |n: u8| vec![TABLE as u8, b'0' + n];
        let expected = [
            Row {
                key: key(1),
                value: Some(b"\"uno\"".to_vec()),
            },
            Row {
                key: key(2),
                value: None,
            },
        ];
        assert_eq!(rows.take_changes(), expected);
    }

    #[test]
    fn a_row_made_and_deleted_in_one_transaction_is_no_change() {
        let mut rows = Rows::default();
        apply(&mut rows, |t| {
            t.write(TABLE, &1, "x").unwrap();
            t.delete(TABLE, &1).unwrap();
        });
        assert_eq!(rows.take_changes(), []);
    }

    #[test]
    fn tables_do_not_run_into_each_other() {
        let mut rows = Rows::default();
        apply(&mut rows, |t| {
            t.write(Table::EncryptionKeyPair, &1, "before").unwrap();
            t.write(TABLE, &1, "x").unwrap();
        });
        assert_eq!(
            rows.table(TABLE).collect::<Vec<_>>(),
            [(b"1".as_slice(), b"\"x\"".as_slice())]
        );
        assert_eq!(rows.keys(Table::KeyPackage).count(), 0);
    }
}
