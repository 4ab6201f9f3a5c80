import GRDB

/// The tables. A change is a new migration at the end; what was released stays as it is.
enum StoreSchema {
  static let migrator: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      try database.execute(
        sql: """
          -- One row: what is measured.
          CREATE TABLE campaign (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            text TEXT NOT NULL,         -- the file, keys sorted
            fingerprint TEXT NOT NULL,  -- of all but its limits
            emulated TEXT               -- the name of the emulated regions; NULL for measured data
          ) STRICT;
          CREATE TABLE source (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            begin_slot INTEGER NOT NULL, -- the first, and the one after the last, counted from 1970
            end_slot INTEGER NOT NULL
          ) STRICT;
          CREATE TABLE target (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
          -- One row for each time that somebody ran.
          CREATE TABLE run (
            id INTEGER PRIMARY KEY,
            uuid TEXT NOT NULL UNIQUE,
            source_id INTEGER NOT NULL REFERENCES source,
            started INTEGER NOT NULL,    -- ns since 1970, campaign time
            version TEXT NOT NULL,
            host TEXT NOT NULL,
            prompt_hash TEXT NOT NULL,
            clock_age REAL,              -- s since the clock was set right, at most; NULL if nobody keeps it
            acceleration REAL NOT NULL
          ) STRICT;
          CREATE TABLE probe (
            id INTEGER PRIMARY KEY,
            source_id INTEGER NOT NULL REFERENCES source,
            target_id INTEGER NOT NULL REFERENCES target,
            slot INTEGER NOT NULL,
            ordinal INTEGER NOT NULL,    -- 0: fresh connection, 1: the same again
            run_id INTEGER NOT NULL REFERENCES run,
            scheduled INTEGER NOT NULL,  -- ns since 1970, campaign time
            started INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            detail TEXT,
            -- ns that each phase took; they sum to total
            dns INTEGER, connect INTEGER, tls INTEGER, written INTEGER, headers INTEGER,
            first_event INTEGER, first_content INTEGER, last_content INTEGER, "end" INTEGER,
            total INTEGER,
            status INTEGER, peer TEXT, tls_version TEXT,
            tcp_rtt INTEGER, tcp_min_rtt INTEGER,  -- us
            request_id TEXT, finish_reason TEXT, input_tokens INTEGER, output_tokens INTEGER,
            server_first_byte REAL,                -- ms
            chunk_count INTEGER NOT NULL,
            usd REAL NOT NULL,
            UNIQUE (source_id, target_id, slot, ordinal)
          ) STRICT;
          -- (time, bytes) of each piece of content: see ChunkCodec.
          CREATE TABLE chunks (probe_id INTEGER PRIMARY KEY REFERENCES probe ON DELETE CASCADE, data BLOB NOT NULL) STRICT;
          """)
    }
    return migrator
  }()

  /// Columns of a probe that hold its phases, in the order of `Phase`.
  static let phases = [
    "dns", "connect", "tls", "written", "headers", "first_event", "first_content", "last_content", "\"end\"",
  ]
}
