//! What may go wrong in a world: it knows no Viewstamped Replication.
