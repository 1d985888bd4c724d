// The build takes .proto files in as text, so that a program is one file.
declare module "*.proto" {
  const text: string;
  export default text;
}
