// Our half of go-plugin's AutoMTLS: a certificate for this life of the process.
import { createPrivateKey, webcrypto } from "node:crypto";
import "reflect-metadata"; // has to come before x509
import * as x509 from "@peculiar/x509";

const lifetime = 30 * 365 * 24 * 3600 * 1000; // as long as go-plugin's own; the key dies with the process

export interface Certificate {
  certificate: string; // PEM
  key: string;         // PEM, PKCS #8
  der: Uint8Array;
}

/** Makes a key and a certificate for "localhost" that vouches for itself. */
export async function makeCertificate(): Promise<Certificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=localhost",
    notBefore: new Date(Date.now() - 30_000), // the host's clock is ours, but may be set back
    notAfter: new Date(Date.now() + lifetime),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "localhost" }]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return {
    certificate: made.toString("pem"),
    key: key.export({ format: "pem", type: "pkcs8" }) as string,
    der: new Uint8Array(made.rawData),
  };
}
