//! A database server that goes away.

use anyhow::{Result, bail};
use wharf_testkit::postgres::{Cluster, ClusterError};

use super::scene::Scene;
use crate::drive::Database;

impl Scene {
    pub(super) async fn stop_the_database(&mut self) -> Result<()> {
        self.without_database("the database is stopped", Cluster::stop).await
    }

    pub(super) async fn crash_the_database(&mut self) -> Result<()> {
        self.without_database("the database crashed", Cluster::crash).await
    }

    async fn without_database(
        &mut self,
        what: &'static str,
        stop: fn(&Cluster) -> Result<(), ClusterError>,
    ) -> Result<()> {
        let began = self.begin(what);
        stop(self.cluster()?)?;
        self.not_ready(&began).await?;
        self.work_for(self.window).await?;
        self.cluster()?.start_again()?;
        self.end(began).await
    }

    pub(super) fn cluster(&self) -> Result<&Cluster> {
        match &self.stage.database {
            Database::Postgres { cluster, .. } => Ok(cluster),
            Database::Sqlite => bail!("a file cannot be stopped"),
        }
    }
}
