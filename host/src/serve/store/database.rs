//! Connections of the store. Every statement begins with a [`step`], at which tests decide what runs next.

use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Any, AnyPool, Either, Execute, Executor, SqlStr, Transaction,
    any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo},
};

/// Connections for statements outside transactions.
#[derive(Debug, Clone)]
pub(crate) struct Pool(pub(super) AnyPool);

/// Transaction; rolled back unless it is committed.
#[derive(Debug)]
pub(crate) struct Tx(pub(super) Transaction<'static, Any>);

impl Tx {
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        step(true).await;
        self.0.commit().await
    }
}

/// Point before a statement; `visible` if others may see its effects when it is done.
#[cfg(not(test))]
pub(super) async fn step(_visible: bool) {}

#[cfg(test)]
pub(super) use crate::serve::interleaving::step;

macro_rules! executor {
    ($Type:ty, $visible:literal, $inner:expr) => {
        impl<'c> Executor<'c> for $Type {
            type Database = Any;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let inner = $inner(self);
                Box::pin(step($visible).map(move |()| inner.fetch_many(query)).flatten_stream())
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let inner = $inner(self);
                Box::pin(step($visible).then(move |()| inner.fetch_optional(query)))
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [AnyTypeInfo],
            ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
            where
                'c: 'e,
            {
                $inner(self).prepare_with(sql, parameters)
            }
        }
    };
}

executor!(&'c Pool, true, |pool: &'c Pool| &pool.0);
executor!(&'c mut Tx, false, |tx: &'c mut Tx| &mut *tx.0);
