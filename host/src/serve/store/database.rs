//! Connections of the store. Every statement begins with a [`step`], at which tests decide what runs next.

use super::schedule::{Point, step};
use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Any, AnyPool, Either, Execute, Executor, SqlStr, Transaction,
    any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo},
};
use std::sync::Arc;
use tokio::sync::Notify;

/// Connections for statements outside transactions.
#[derive(Debug, Clone)]
pub(crate) struct Pool(pub(super) AnyPool);

/// Transaction; rolled back unless it is committed.
#[derive(Debug)]
pub(crate) struct Tx {
    pub(super) inner: Transaction<'static, Any>,
    /// Signals the commit.
    pub(super) committed: Arc<Notify>,
}

impl Tx {
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        step(Point::Commit).await;
        self.inner.commit().await?;
        self.committed.notify_one();
        Ok(())
    }
}

macro_rules! executor {
    ($Type:ty, $point:expr, $inner:expr) => {
        impl<'c> Executor<'c> for $Type {
            type Database = Any;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let inner = $inner(self);
                Box::pin(step($point).map(move |()| inner.fetch_many(query)).flatten_stream())
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let inner = $inner(self);
                Box::pin(step($point).then(move |()| inner.fetch_optional(query)))
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

executor!(&'c Pool, Point::Outside, |pool: &'c Pool| &pool.0);
executor!(&'c mut Tx, Point::Inside, |tx: &'c mut Tx| &mut *tx.inner);
