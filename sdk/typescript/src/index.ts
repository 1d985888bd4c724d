// Write a plugin for the claudemesh broker in TypeScript: describe its stages,
// hand them to serve, and build one executable file with claudemesh-plugin-build.
export { serve } from "./serve";
export type { Attribute, Decision, Diagnostic, Envelope, Instance, Match, Priority, Program, Setup, Stage, TargetKind } from "./stage";
