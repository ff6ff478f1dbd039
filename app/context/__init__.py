"""What a clinician may do with a decile: wording and rules as versioned data beside the code."""
