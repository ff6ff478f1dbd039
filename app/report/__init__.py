"""The board paper, the brief and the audit-day pack: one document of blocks, as HTML, PDF, Word or Excel."""
