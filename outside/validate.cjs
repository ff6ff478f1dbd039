// Reads resources as a JSON array, and writes what npm's `fhir` finds in each. The argument is where it is installed.
const { createRequire } = require("node:module");
const path = require("node:path");
const fs = require("node:fs");

const { Fhir } = createRequire(path.join(process.argv[2], "here.js"))("fhir");
const judge = new Fhir();
const resources = JSON.parse(fs.readFileSync(0, "utf-8"));
console.log(JSON.stringify(resources.map((resource) => judge.validate(resource, { errorOnUnexpected: true }))));
